//! The worker killed at every named point of every step, forward and back.
