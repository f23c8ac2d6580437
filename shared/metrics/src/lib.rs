//! Part of Weir.
