//! An array for programs: a member that is not known is null, or an empty list.

use serde_json::{Value, json};

use super::facts::Facts;

/// The array, on one line.
pub(crate) fn render(guests: &[Facts]) -> String {
    format!("{}\n", Value::from_iter(guests.iter().map(object)))
}

fn object(guest: &Facts) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "id": guest.id,
        "uuid": text(&guest.uuid),
        "name": text(&guest.name),
        "agent": text(&guest.agent),
        "version": text(&guest.version),
        "state": text(&guest.state),
        "features": guest.features,
        "addresses": guest.addresses,
        "os": text(&guest.os),
        "memory_free_kib": guest.free,
        "memory_total_kib": guest.total,
        "memory_target_kib": guest.target,
    })
}

#[cfg(test)]
mod tests {
    use super::super::facts::sample;
    use super::*;

    #[test]
    fn a_member_for_each_fact() {
        let text = render(&[sample(), Facts::default()]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value[0]["id"], &value[0]["os"], &value[0]["memory_free_kib"]),
            (&json!(7), &json!("Debian \"12\""), &json!(1000))
        );
        assert_eq!(
            (&value[1]["agent"], &value[1]["addresses"], &value[1]["memory_total_kib"]),
            (&Value::Null, &json!([]), &Value::Null)
        );
        assert_eq!(render(&[]), "[]\n");
    }
}
