//! What encrypts, chosen once for the whole process.

/// Chooses it. May be called again; whoever makes a client that speaks TLS calls it before.
pub fn provide() {
    // An error says that it was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
