//! Conclusions from a cosigned checkpoint beside the log, one elsewhere, and the list of witnesses together.

use obscura_crypto::cosignature::Cosigner;
use obscura_crypto::cosignature::Witnesses;

use super::*;
use crate::audit::cosigned::keep;
use crate::audit::event::Action;
use crate::audit::verify::Place;
use crate::audit::verify::Witnessing;

const TIME: u64 = 1_800_000_000;

fn witness() -> (Cosigner, Witnesses) {
    let cosigner = Cosigner::new(Signer::generate("witness.example").unwrap());
    let witnesses = cosigner.key().to_string().parse().unwrap();
    (cosigner, witnesses)
}

fn cosigned(world: &World, witness: &Cosigner) -> String {
    let note = world.log.checkpoint().unwrap().note;
    witness.cosign(&note, world.log.verifier(), TIME).unwrap().to_string()
}

fn by(witnesses: &Witnesses) -> Against<'_> {
    Against { witnesses: Some(witnesses), ..Against::default() }
}

fn demanding(witnesses: &Witnesses) -> Against<'_> {
    Against { witnessing: Witnessing::Demanded, ..by(witnesses) }
}

#[test]
fn cosigned_checkpoint_beside_the_log_is_compared_with_it() {
    let world = World::with(5);
    let (witness, witnesses) = witness();
    keep(&world.reader(), &cosigned(&world, &witness)).unwrap();
    world.log.append((5..9).map(event).collect()).unwrap();
    let verification = verify(&world.reader(), demanding(&witnesses)).unwrap();
    assert_eq!(verification.findings, []);
    let [anchor] = verification.anchors.as_slice() else { unreachable!("one checkpoint is kept") };
    assert_eq!((anchor.size, anchor.place), (5, Place::Beside));
    assert_eq!(
        (anchor.cosignatures[0].witness.as_str(), anchor.cosignatures[0].time),
        ("witness.example", TIME)
    );
    // A verifier without witnesses verifies the log's signature alone.
    let anchors = verify(&world.reader(), Against::default()).unwrap().anchors;
    assert!(anchors.len() == 1 && anchors[0].cosignatures.is_empty());
}

#[test]
fn log_that_a_cosigned_checkpoint_does_not_fit_is_found() {
    let world = World::with(5);
    let older = world.files();
    world.log.append(vec![event(5)]).unwrap();
    let (witness, witnesses) = witness();
    keep(&world.reader(), &cosigned(&world, &witness)).unwrap();
    for path in world.files().into_keys().filter(|path| !path.ends_with("checkpoint.cosigned")) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in older {
        fs::write(path, bytes).unwrap();
    }
    let verification = verify(&world.reader(), by(&witnesses)).unwrap();
    assert_eq!(verification.findings, [Finding::Truncated { kept: 6, size: 5 }]);
    assert_eq!(verification.anchors, []);
}

#[test]
fn cosigned_checkpoint_that_the_log_names_and_that_is_gone_or_older_is_found() {
    let world = World::with(5);
    let (witness, witnesses) = witness();
    let old = cosigned(&world, &witness);
    world.log.append(vec![event(5)]).unwrap();
    let mut kept = event(6);
    kept.action = Action::CheckpointCosigned;
    kept.detail.insert("size".to_owned(), json!(6));
    let new = cosigned(&world, &witness);
    world.log.append(vec![kept]).unwrap();
    let missing = Finding::CosignedMissing { size: 6 };
    assert_eq!(world.findings(), std::slice::from_ref(&missing));
    keep(&world.reader(), &old).unwrap();
    assert_eq!(verify(&world.reader(), by(&witnesses)).unwrap().findings, [missing]);
    keep(&world.reader(), &new).unwrap();
    assert_eq!(verify(&world.reader(), by(&witnesses)).unwrap().findings, []);
}

#[test]
fn witnesses_that_did_not_cosign_are_missed() {
    let world = World::with(5);
    let (one, witnesses) = witness();
    assert_eq!(verify(&world.reader(), by(&witnesses)).unwrap().findings, [], "nothing was cosigned yet");
    assert_eq!(verify(&world.reader(), demanding(&witnesses)).unwrap().findings, [Finding::NotWitnessed]);
    let (stranger, _) = witness();
    let unknown = cosigned(&world, &stranger);
    keep(&world.reader(), &unknown).unwrap();
    assert_eq!(verify(&world.reader(), by(&witnesses)).unwrap().findings, [Finding::NotWitnessed]);
    // One that was kept elsewhere will do.
    let elsewhere = cosigned(&world, &one);
    let against = Against { kept: Some(&elsewhere), ..demanding(&witnesses) };
    assert_eq!(verify(&world.reader(), against).unwrap().findings, []);
}

#[test]
fn every_flipped_bit_of_the_cosigned_checkpoint_is_found() {
    let world = World::with(5);
    let (witness, witnesses) = witness();
    let text = cosigned(&world, &witness);
    for bit in (0..text.len() * 8).step_by(13) {
        let mut damaged = text.as_bytes().to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(world.folder.path().join("checkpoint.cosigned"), damaged).unwrap();
        assert_ne!(verify(&world.reader(), by(&witnesses)).unwrap().findings, [], "bit {bit}");
    }
}
