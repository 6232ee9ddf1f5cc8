//! Memory stays flat: sealing three times the rows takes hardly more memory, and less than the rows would fill.
//! The input is made on the way, on standard input; Python reads what the system measured.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::io::BufWriter;
use std::io::Write as _;
use std::process::Command;
use std::process::Stdio;

use obscura_tests::environment;
use obscura_tests::fixture::Fixture;
use obscura_tests::world::STEWARD;
use obscura_tests::world::World;

/// Runs a command and prints the most memory it held, in kilobytes, as the last line.
const MEASURED: &str = "\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
";

/// Seals so many visits from standard input and returns the most memory it took, in megabytes.
fn sealing(rows: u32) -> u64 {
    let world = World::with(&Fixture::load().unwrap()).unwrap();
    let product = world.command(Some(STEWARD)).unwrap();
    let mut command = Command::new("python3");
    command.env_clear().envs(product.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("PATH", "/usr/bin:/bin").current_dir(world.root());
    let arguments = ["seal", "corpus.visits", "-", "--format", "csv", "--replace"];
    let mut child = command
        .args(["-c", MEASURED])
        .arg(product.get_program())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = BufWriter::new(child.stdin.take().unwrap());
    writeln!(input, "visit_id,person_id,cost,day").unwrap();
    for row in 0..rows {
        // Subjects come back all over the file, so that the rows must really be grouped.
        let person = u64::from(row) * 7919 % 100_003;
        writeln!(input, "v{row:09},p{person},{}.{:02},{}", row % 900, row % 100, row % 7).unwrap();
    }
    drop(input);
    let finished = child.wait_with_output().unwrap();
    assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
    let said = String::from_utf8(finished.stdout).unwrap();
    said.lines().last().unwrap().trim().parse::<u64>().unwrap() / 1024
}

#[test]
fn memory_of_sealing_does_not_grow_with_the_input() {
    let (few, many) = if environment::run_slow() { (2_000_000, 4_000_000) } else { (20_000, 320_000) };
    let (small, large) = (sealing(few), sealing(many));
    let growth_max = if environment::run_slow() { 64 } else { 192 };
    assert!(large <= small + growth_max, "{few} rows took {small} MB, {many} rows took {large} MB");
}
