//! OpenMetrics text for the textfile directory of a node exporter
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::fmt::Write;

use super::facts::Facts;

/// All guests' metrics.
pub(crate) fn render(guests: &[Facts]) -> String {
    let mut text = String::new();
    head(&mut text, "nanova_guest", "info", "What a running guest says of itself.");
    for guest in guests {
        let labels = [
            ("id", guest.id.to_string()),
            ("uuid", guest.uuid.clone()),
            ("name", guest.name.clone()),
            ("agent", guest.agent.clone()),
            ("version", guest.version.clone()),
            ("os", guest.os.clone()),
        ];
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(text, "nanova_guest_info{{{}}} 1", labels.join(","));
    }
    head(&mut text, "nanova_guest_ready", "gauge", "Whether the guest's agent serves the host's commands.");
    each(&mut text, guests, "nanova_guest_ready", |guest| Some(u64::from(guest.state == "ready")));
    for (name, help, value) in [
        ("free", "Memory that is free in the guest.", (|guest| guest.free) as fn(&Facts) -> Option<u64>),
        ("total", "Memory that the guest sees.", |guest| guest.total),
        ("target", "Memory that the toolstack gives the guest.", |guest| guest.target),
    ] {
        let name = format!("nanova_guest_memory_{name}_bytes");
        head(&mut text, &name, "gauge", help);
        let _ = writeln!(text, "# UNIT {name} bytes");
        each(&mut text, guests, &name, |guest| value(guest).map(|kib| kib.saturating_mul(1024)));
    }
    text.push_str("# EOF\n");
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# TYPE {name} {kind}\n# HELP {name} {help}");
}

fn each(text: &mut String, guests: &[Facts], name: &str, value: impl Fn(&Facts) -> Option<u64>) {
    for guest in guests {
        if let Some(value) = value(guest) {
            let _ = writeln!(text, "{name}{{id=\"{}\",uuid=\"{}\"}} {value}", guest.id, escaped(&guest.uuid));
        }
    }
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn the_text_that_an_exporter_reads() {
        let text = render(&[sample(), Facts { id: 9, ..Facts::default() }]);
        assert!(text.contains(r#"os="Debian \"12\""} 1"#), "{text}");
        assert!(text.contains(
            "nanova_guest_memory_free_bytes{id=\"7\",uuid=\"7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a\"} 1024000\n"
        ));
        assert!(text.contains("nanova_guest_ready{id=\"9\",uuid=\"\"} 0\n"));
        assert!(!text.contains("free_bytes{id=\"9\""));
        assert!(text.ends_with("# EOF\n"));
    }
}
