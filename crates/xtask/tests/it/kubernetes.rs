//! The manifests in `deploy/kubernetes/`: what the schemas of Kubernetes allow, and what the mission's pod must say.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use xtask::workspace::{read, root, write};

/// Checks a folder with the Python peer; none where it is not installed.
fn checked(folder: &Path) -> Option<Output> {
    let python = root().join("target/test-venv/bin/python3");
    let script = root().join("crates/xtask/tests/it/kubernetes.py");
    let output = Command::new(python).arg(script).arg(folder).output().ok()?;
    (output.status.code() != Some(3)).then_some(output)
}

fn manifests() -> Option<Vec<Value>> {
    let output = checked(&root().join("deploy/kubernetes/sandbox"));
    let Some(output) = output else {
        println!("SKIPPED kubernetes manifests: `target/test-venv` has no `kubernetes-validate`");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    Some(serde_json::from_str(&text).unwrap())
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

#[test]
fn the_manifests_are_what_the_schemas_allow_and_the_mission_asks_for() {
    let Some(manifests) = manifests() else { return };
    let pods = of_kind(&manifests, "Pod");
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let spec = &pod["spec"];
        assert_eq!(spec["runtimeClassName"], "gvisor");
        assert_eq!(spec["automountServiceAccountToken"], false);
        for member in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(spec[member], false, "{member}");
        }
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        let containers = spec["initContainers"].as_array().unwrap().iter();
        let containers: Vec<&Value> = containers.chain(spec["containers"].as_array().unwrap()).collect();
        assert_eq!(containers.len(), 3);
        for container in containers {
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            });
            assert_eq!(container["securityContext"], expected, "{}", container["name"]);
            let resources = &container["resources"];
            assert_eq!(
                (&resources["limits"]["cpu"], &resources["limits"]["memory"]),
                (&json!("8"), &json!("32Gi"))
            );
            assert_eq!(
                (&resources["requests"]["cpu"], &resources["requests"]["memory"]),
                (&json!("4"), &json!("16Gi"))
            );
            let image = container["image"].as_str().unwrap();
            assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
        }
    }
    let [class] = of_kind(&manifests, "RuntimeClass")[..] else { panic!("one class") };
    assert_eq!((&class["metadata"]["name"], &class["handler"]), (&json!("gvisor"), &json!("runsc")));
    let [policy] = of_kind(&manifests, "NetworkPolicy")[..] else { panic!("one network policy") };
    assert_eq!(
        policy["spec"],
        json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": [] })
    );
    let [admission] = of_kind(&manifests, "ValidatingAdmissionPolicy")[..] else {
        panic!("one admission policy")
    };
    assert_eq!(admission["spec"]["failurePolicy"], "Fail");
    let [namespace] = of_kind(&manifests, "Namespace")[..] else { panic!("one namespace") };
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    let name = &namespace["metadata"]["name"];
    for manifest in &manifests {
        let found = &manifest["metadata"]["namespace"];
        assert!(found.is_null() || found == name, "{manifest}");
    }
}

#[test]
fn a_misspelt_or_ill_typed_manifest_is_refused() {
    let good = read(&root().join("deploy/kubernetes/sandbox/pod.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        write(&folder.path().join("pod.yaml"), text).unwrap();
        let Some(output) = checked(folder.path()) else {
            println!(
                "SKIPPED kubernetes manifests, altered: `target/test-venv` has no `kubernetes-validate`"
            );
            return None;
        };
        Some(!output.status.success())
    };
    if refused(&good) == Some(false) {
        for (right, wrong) in [
            ("runAsNonRoot: true", "runAsNotRoot: true"),
            ("hostNetwork: false", "hostNetwork: \"no\""),
            ("drop: [\"ALL\"]", "drop: ALL"),
            ("kind: Pod", "kind: Pud"),
        ] {
            assert!(good.contains(right), "{right}");
            assert_eq!(refused(&good.replacen(right, wrong, 1)), Some(true), "{wrong}");
        }
    }
}
