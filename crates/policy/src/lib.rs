//! What may pass: impact score, tiers, duties, scopes, and the gates that make tokens.
