"""Reads a log's tiles with an implementation that is not ours, and proves every entry and the way from each size to the last."""

import sys
from aics_tlog import (FileSystemTileReader, audit_tiles, consistency_proof_from_tiles, inclusion_proof_from_tiles, leaf_hash, parse_checkpoint, parse_note,
                       parse_vkey, read_entry, tree_root_from_tiles, verify_checkpoint, verify_consistency, verify_inclusion)

folder, key = sys.argv[1:]
note = parse_note(open(f"{folder}/checkpoint", "rb").read())
checked = verify_checkpoint(note, parse_vkey(key))
assert checked.ok, checked
checkpoint = parse_checkpoint(note.text)
reader = FileSystemTileReader(folder)
size, root = checkpoint.size, checkpoint.root
audit_tiles(reader, size, root)
for index in range(size):
    entry = read_entry(reader, index, size)
    assert verify_inclusion(leaf_hash(entry), index, size, inclusion_proof_from_tiles(reader, index, size), root), index
for old in range(1, size):
    before = tree_root_from_tiles(reader, old, size)
    assert verify_consistency(old, size, before, root, consistency_proof_from_tiles(reader, old, size)), old
print("verified", size)
