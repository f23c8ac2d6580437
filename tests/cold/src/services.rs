//! What functions ask of AWS while they start and look at nothing, answered from memory, with TLS and without.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::http;

/// The secret: everything that a function needs to start.
const SECRET: &str = r#"{"SecretString":"{\"github_secrets\":[\"a\"],\"slack_signing_secrets\":[\"b\"],\"slack_token\":\"xoxb-c\"}"}"#;

/// Where they are.
pub(crate) struct Services {
    /// Without TLS.
    pub(crate) plain: String,
    /// With it.
    pub(crate) tls: String,
    /// The authority that signed for the one with TLS.
    pub(crate) authority: PathBuf,
    _folder: TempDir,
}

/// Serves them.
pub(crate) async fn serve() -> Result<Services> {
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority.pem");
    let (pem, config) = certified()?;
    std::fs::write(&authority, pem)?;
    Ok(Services {
        plain: format!("http://{}", listen(None).await?),
        tls: format!("https://localhost:{}", port(&listen(Some(config)).await?)?),
        authority,
        _folder: folder,
    })
}

fn port(address: &str) -> Result<&str> {
    let (_, port) = address.rsplit_once(':').context("an address has a port")?;
    Ok(port)
}

/// An authority, and a server that it signed for.
fn certified() -> Result<(String, Arc<ServerConfig>)> {
    let mut own = CertificateParams::new(Vec::new())?;
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(own, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((authority.pem(), Arc::new(config)))
}

async fn listen(tls: Option<Arc<ServerConfig>>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            // A program that ends closes its connections in the middle of nothing.
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                match tls {
                    Some(config) => answer_all(TlsAcceptor::from(config).accept(stream).await?).await,
                    None => answer_all(stream).await,
                }
            });
        }
    });
    Ok(address)
}

async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(request) = http::next(&mut stream).await? {
        let body = match request.target.rsplit('.').next() {
            Some("GetSecretValue") => SECRET,
            Some("Query") => r#"{"Items":[],"Count":0,"ScannedCount":0}"#,
            _ => "{}",
        };
        http::answer(&mut stream, "200 OK", "", body).await?;
    }
    Ok(())
}
