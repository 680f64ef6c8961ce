//! The socket in the state folder, for `wharf status` on the same machine.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::ListenError;

/// Where the socket of a state folder is.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("wharf.sock")
}

/// Listens there, for this user only. The socket of a process that is gone is replaced. `None` (and a warning) where the path is
/// too long for a socket: all that is lost is `wharf status`.
///
/// # Errors
/// [`ListenError::Socket`] when a process answers there, or something else is in the way.
pub(super) fn bind(state_dir: &Path) -> Result<Option<(PathBuf, UnixListener)>, ListenError> {
    let path = path(state_dir);
    let wrong = |reason: String| ListenError::Socket { path: path.clone(), reason };
    if std::os::unix::net::SocketAddr::from_pathname(&path).is_err() {
        tracing::warn!(path = %path.display(), "the path is too long for a socket, `wharf status` will not work: use a shorter `state-dir`");
        return Ok(None);
    }
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(&path).is_ok() {
                return Err(wrong("another process answers on this socket; stop it, or set another `state-dir`".to_owned()));
            }
            std::fs::remove_file(&path).map_err(|e| wrong(format!("a stale socket cannot be removed: {e}")))?;
        }
        Ok(_) => return Err(wrong("is in the way of the socket for `wharf status`; move it away".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(error.to_string())),
    }
    let listener = UnixListener::bind(&path).map_err(|e| wrong(format!("cannot listen there: {e}")))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| wrong(format!("cannot restrict it to its owner: {e}")))?;
    Ok(Some((path, listener)))
}
