"""The operator's side: append blocks, admit members, answer requests. Verifiers never import it."""
