"""One file per neighbour; in each, ``from_x`` leads to sparksig's types and ``to_x`` back."""
