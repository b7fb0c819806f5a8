//! Prints the walls that this kernel and this user can have.

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    print!("{}", runtime_sandbox::Support::probe().await);
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("sandboxes need Linux");
}
