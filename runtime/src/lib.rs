//! What every PostQ process needs to live and to end well.
//!
//! | room | owns |
//! |---|---|
//! | [`shutdown`] | the only place that spawns tasks, and the way they stop |

pub mod shutdown;

pub use shutdown::Shutdown;
