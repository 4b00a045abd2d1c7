"""Tables and their contracts: one resolver, one judge of types, one check, whatever reads the table."""
