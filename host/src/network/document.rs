//! vm-data as one JSON document: `{"hostname": "…", "networking": {"<MAC>": {…}}}`, each interface as nova writes it.
//!
//! Taken as well: an interface by itself, or a list of them, each with its `mac`. Anything else is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fault::Fault;

/// What a guest's `vm-data` says of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its host name, if it is to have one of the host's.
    pub(crate) hostname: Option<String>,
    /// It is to have none of the host's: `null`. What says nothing of a name leaves the one that there is.
    pub(crate) is_nameless: bool,
    /// The value of each node of `vm-data/networking`.
    pub(crate) interfaces: BTreeMap<String, String>,
}

impl Document {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Document, Fault> {
        let wrong =
            |why: &str| Fault::here(format!("{why}; `nanova-host DOM network --show` prints one as it should be"));
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(&format!("this is no JSON: {error}")))?;
        let mut document = Document::default();
        match &value {
            Value::Object(object) if object.contains_key("networking") || object.contains_key("hostname") => {
                if let Some(other) = object.keys().find(|name| !matches!(name.as_str(), "networking" | "hostname")) {
                    return Err(wrong(&format!("'{other}' is neither 'hostname' nor 'networking'")));
                }
                document.is_nameless = object.get("hostname") == Some(&Value::Null);
                document.hostname = match object.get("hostname") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(name)) => Some(name.clone()),
                    Some(_) => return Err(wrong("the host name is no text")),
                };
                let none = Value::Object(Map::new());
                let interfaces = object.get("networking").unwrap_or(&none).as_object();
                for (mac, interface) in interfaces.ok_or_else(|| wrong("'networking' is no object"))? {
                    document.interfaces.insert(mac.clone(), interface.to_string());
                }
            }
            Value::Array(interfaces) => interfaces.iter().try_for_each(|interface| document.add(interface))?,
            interface => document.add(interface)?,
        }
        Ok(document)
    }

    fn add(&mut self, interface: &Value) -> Result<(), Fault> {
        let mac = interface["mac"].as_str();
        let mac = mac.ok_or_else(|| Fault::here("an interface without its 'mac' is none; nothing was changed"))?;
        let digits = mac.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        self.interfaces.insert(digits, interface.to_string());
        Ok(())
    }

    /// For a person to read and to edit.
    pub(crate) fn pretty(&self) -> String {
        let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        let networking: Map<String, Value> =
            self.interfaces.iter().map(|(mac, text)| (mac.clone(), value(text))).collect();
        let document = json!({ "hostname": self.hostname, "networking": networking });
        crate::op::printable_json(&format!("{document:#}\n"))
    }

    /// The nodes below the guest's home, and their values.
    pub(crate) fn nodes(&self) -> Vec<(String, &str)> {
        let interfaces = self.interfaces.iter().map(|(mac, text)| (format!("vm-data/networking/{mac}"), text.as_str()));
        let hostname = self.hostname.as_deref().map(|name| ("vm-data/hostname".to_owned(), name));
        hostname.into_iter().chain(interfaces).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_is_shown() {
        let text = r#"{"hostname": "web", "networking": {"BC764E000001": {"mac": "bc:76:4e:00:00:01"}}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(Document::parse(&document.pretty()).unwrap(), document);
        let names: Vec<_> = document.nodes().into_iter().map(|(node, _)| node).collect();
        assert_eq!(names, ["vm-data/hostname", "vm-data/networking/BC764E000001"]);
    }

    #[test]
    fn an_interface_alone_or_a_list_of_them_is_taken() {
        let alone = Document::parse(r#"{"mac": "bc:76:4e:00:00:01", "ips": []}"#).unwrap();
        assert_eq!(alone, Document::parse(r#"[{"mac": "bc:76:4e:00:00:01", "ips": []}]"#).unwrap());
        assert!(alone.interfaces.contains_key("BC764E000001"));
        for bad in [
            "",
            "[]]",
            "5",
            r#"{"ips": []}"#,
            r#"{"networking": [], "hostname": "a"}"#,
            r#"{"hostname": 5}"#,
            r#"{"hostname": "a", "netwroking": {}}"#,
        ] {
            assert!(Document::parse(bad).is_err(), "{bad}");
        }
    }
}
