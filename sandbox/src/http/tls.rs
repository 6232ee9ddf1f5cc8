//! TLS from three files: a certificate, its key, and the roots of clients' certificates where clients must show one.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use crate::config::TlsFiles;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;

/// Reads the files.
///
/// # Errors
/// When one of them cannot be read or holds something else, or certificate and key do not belong together.
pub fn configure(files: &TlsFiles) -> Result<Arc<ServerConfig>, AppError> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .during("choose the versions of TLS")?;
    let builder = match &files.client_roots {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|_| unusable(path, "holds no certificate of a root"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|_| unusable(path, "holds no certificate of a root"))?,
            )
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|_| unusable(&files.key, "holds no private key, or cannot be read"))?;
    let mut config = builder
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|_| unusable(&files.key, "is not the key of the certificate"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AppError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    all.ok()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| unusable(path, "holds no certificate, or cannot be read"))
}

fn unusable(path: &Path, what: &str) -> AppError {
    PublicError::new(
        Class::Usage,
        "tls-file-unusable",
        format!("the TLS file `{}` {what}", path.display()),
        format!("TLS 文件 `{}` 无法使用", path.display()),
    )
    .into()
}
