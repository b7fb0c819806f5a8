//! Prints the walls and limits that this kernel and this user can have.

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    use runtime_sandbox::{CgroupParents, Support};

    print!("{}", Support::probe().await);
    println!("{}", CgroupParents::below_own().support());
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("sandboxes need Linux");
}
