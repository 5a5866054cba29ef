"""Commands of the psp program, one module each."""
