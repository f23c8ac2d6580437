//! Whose signature the certificate of a cluster must have, where no cloud says it: it stands among the secrets.

use std::collections::BTreeMap;

use weir_aws::whereabouts::certificates;
use weir_domain::ids::ClusterName;

use crate::ways::Way;

/// The authorities of the clusters that need one, in DER. Those of others are passed over: a cluster is taken out of the
/// settings before it is taken out of the secret.
///
/// # Errors
/// A cluster has none, or something else.
pub(crate) fn authorities(
    clusters: &BTreeMap<ClusterName, Way>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<ClusterName, Vec<Vec<u8>>>, String> {
    let needing = clusters.iter().filter(|(_, way)| way.needs_authority());
    needing
        .map(|(name, _)| {
            let text = given.get(name.as_str());
            let text = text.ok_or_else(|| {
                format!("`{name}` has none: put the authority of its certificate there, in PEM")
            })?;
            let read = certificates(text).filter(|all| !all.is_empty());
            let read = read.ok_or_else(|| format!("`{name}` has something else than certificates in PEM"))?;
            Ok((name.clone(), read))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ways::ApiServer;

    #[test]
    fn whoever_needs_an_authority_has_one_and_it_is_one() {
        let api = |public| {
            Way::Api(ApiServer {
                host: "k8s.example.com".into(),
                audience: "weir".into(),
                public,
            })
        };
        let clusters = BTreeMap::from([
            (ClusterName::new("own"), api(false)),
            (ClusterName::new("front"), api(true)),
        ]);
        let read =
            |name: &str, text: &str| authorities(&clusters, &[(name.to_owned(), text.to_owned())].into());
        let pem = "-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----\n";
        let found = read("own", &pem.repeat(2)).unwrap();
        assert_eq!(
            found,
            BTreeMap::from([(ClusterName::new("own"), vec![b"der".to_vec(); 2])])
        );
        let none = "`own` has none: put the authority of its certificate there, in PEM";
        assert_eq!(read("front", pem), Err(none.to_owned()));
        for text in ["", "ZGVy", &pem[..40], &pem.replace("ZGVy", "?")] {
            let error = read("own", text).unwrap_err();
            assert_eq!(
                error, "`own` has something else than certificates in PEM",
                "{text}"
            );
        }
    }
}
