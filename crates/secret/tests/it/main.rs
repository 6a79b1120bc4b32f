//! Valgrind, with the secrets marked undefined: a branch on them, or an address made of them, is an error that it reports
//! (after A. Langley's ctgrind). Each case runs in this very program, started again under Valgrind; two controls, which do
//! branch and do look up a table, must be reported.
#![cfg(test)]
#![allow(
    unsafe_code,
    reason = "a request to Valgrind is a sequence of instructions that do nothing elsewhere"
)]

use std::process::{Command, Stdio};

/// Set in the program that runs under Valgrind: the case to run.
const CASE: &str = "COUNTERSIGN_SECRET_CASE";
/// What Valgrind exits with where it has found something.
const FOUND: i32 = 99;

#[cfg(target_arch = "x86_64")]
mod valgrind {
    /// `VG_USERREQ__MAKE_MEM_UNDEFINED` and `VG_USERREQ__MAKE_MEM_DEFINED` of memcheck.h.
    const UNDEFINED: usize = 0x4d43_0001;
    const DEFINED: usize = 0x4d43_0002;

    /// The magic sequence of valgrind.h for amd64: four rotations of a register that make a full turn.
    fn request(code: usize, start: *const u8, length: usize) {
        let arguments = [code, start as usize, length, 0, 0, 0];
        let mut answer = 0_usize;
        // SAFETY: the registers end as they began, but for the answer; Valgrind reads the array of arguments alone.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") answer,
            );
        }
        std::hint::black_box(answer);
    }

    pub(super) fn poison(bytes: &mut [u8]) {
        request(UNDEFINED, bytes.as_ptr(), bytes.len());
    }

    /// What may be told: the answer.
    pub(super) fn tell<T>(value: &T) {
        request(DEFINED, std::ptr::from_ref(value).cast(), size_of::<T>());
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod valgrind {
    pub(super) fn poison(_: &mut [u8]) {}
    pub(super) fn tell<T>(_: &T) {}
}

/// Runs a case of this program under Valgrind; none where it is not to be had.
fn found(case: &str) -> Option<bool> {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !cfg!(target_arch = "x86_64") || !there.is_ok_and(|status| status.success()) {
        println!("SKIPPED constant time under Valgrind ({case}): `valgrind` absent");
        return None;
    }
    let output = Command::new("valgrind")
        .args(["--quiet", &format!("--error-exitcode={FOUND}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_case", "--test-threads=1"])
        .env(CASE, case)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Some(false),
        Some(FOUND) => {
            assert!(told.contains("uninitialised"), "{told}");
            println!("{case}: {told}");
            Some(true)
        }
        other => panic!("{case}: {other:?} {told}"),
    }
}

/// Under Valgrind, the case that the environment names; otherwise nothing.
#[test]
fn the_case() {
    let Some(case) = std::env::var_os(CASE).and_then(|case| case.into_string().ok()) else { return };
    let mut key = [0x5a_u8; secret::KEY_BYTES];
    let mut text = *secret::to_base64(&key);
    valgrind::poison(&mut key);
    valgrind::poison(&mut text);
    match case.as_str() {
        "equal" => {
            let same = secret::equal(&key, &[0x5a; secret::KEY_BYTES]);
            valgrind::tell(&same);
            assert!(same);
        }
        "to-base64" => {
            let mut spelt = secret::to_base64(&key);
            valgrind::tell(&*spelt);
            assert_eq!(spelt.last(), Some(&b'='));
            spelt.fill(0);
        }
        "from-base64" => {
            let (again, right) = secret::from_base64(&text);
            valgrind::tell(&right);
            assert!(right);
            std::hint::black_box(&again);
        }
        "control-branch" => {
            // What `==` may do: leave at the first difference.
            let same = key.iter().all(|byte| std::hint::black_box(*byte) == 0x5a);
            valgrind::tell(&same);
            assert!(same);
        }
        "control-table" => {
            // What a decoder with a table does: an address made of the secret.
            let table: Vec<u8> = (0..=255).collect();
            let looked = table[usize::from(text[0])];
            valgrind::tell(&looked);
            assert_eq!(looked, b'W');
        }
        other => panic!("no case `{other}`"),
    }
}

#[test]
fn nothing_branches_on_a_secret() {
    for case in ["equal", "to-base64", "from-base64"] {
        if let Some(found) = found(case) {
            assert!(!found, "{case} depends on its secret");
        }
    }
}

#[test]
fn what_does_branch_is_reported() {
    for case in ["control-branch", "control-table"] {
        if let Some(found) = found(case) {
            assert!(found, "{case} was not reported: nothing that is not reported is shown");
        }
    }
}
