"""The ledger's bytes: records, block headers, statements, checkpoints, signed notes."""
