//! Several proxies and where they think that rows are: each shows the version of its map, and a difference is an alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use saphyr::LoadableYamlNode;

use super::http::{get, start};
use super::support::{Proxy, repository_file};
use super::{becomes, connect, row_where};

/// The labels of the series of that name.
fn series(address: SocketAddr, name: &str) -> Vec<BTreeMap<String, String>> {
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200);
    let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    let labels = samples.filter(|(_, value)| *value == "1").map(|(labels, _)| labels.split(','));
    let pair =
        |label: &str| label.split_once('=').map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    labels.map(|labels| labels.filter_map(pair).collect()).collect()
}

/// The expression of the rule in config/, as Prometheus evaluates it over what these proxies say: the databases that it
/// fires for.
fn firing(proxies: &[SocketAddr]) -> Vec<String> {
    let text = std::fs::read_to_string(repository_file("config/prometheus-alerts.yml")).expect("it is there");
    let documents = saphyr::Yaml::load_from_str(&text).expect("it is YAML");
    let rules = documents[0]["groups"][0]["rules"].as_vec().expect("there are rules");
    let rule = rules.iter().find(|rule| rule["alert"].as_str() == Some("ShardwayMapsDiffer")).expect("there is one");
    let wanted = "count by (database) (count by (database, version) (shardway_shard_map_info{version!=\"\"})) > 1";
    assert_eq!(rule["expr"].as_str(), Some(wanted), "what is evaluated below is another expression");
    let selected = proxies
        .iter()
        .flat_map(|address| series(*address, "shardway_shard_map_info"))
        .filter(|labels| !labels["version"].is_empty())
        .map(|labels| (labels["database"].clone(), labels["version"].clone()));
    // count by (database, version): one group for each pair; count by (database) of these: how many there are.
    let groups: BTreeSet<(String, String)> = selected.collect();
    let mut counts = BTreeMap::<String, usize>::new();
    groups.into_iter().for_each(|(database, _)| *counts.entry(database).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(database, _)| database).collect()
}

fn version(proxy: &Proxy) -> String {
    row_where(&mut connect(proxy, "watch", "shardway"), "SHOW MAPS", "database", "shop")["version"].clone()
}

#[test]
fn a_proxy_with_another_map_raises_the_alarm() {
    let (one, pages_of_one) = start("127.0.0.1", "");
    let (other, pages_of_other) = start("127.0.0.1", "");
    let both = [pages_of_one, pages_of_other];
    for (proxy, pages) in [(&one, pages_of_one), (&other, pages_of_other)] {
        becomes("its map is known", || get(pages, "/ready").0 == 200 && version(proxy).len() == 16);
        let logged = format!("the shard map is known database=shop version=\"{}\"", version(proxy));
        assert!(proxy.log().contains(&logged), "{}", proxy.log());
    }
    assert_eq!(version(&one), version(&other));
    assert_eq!(firing(&both), [""; 0]);

    let buckets = "[database.shop]\nbuckets = { a = [\"0-2046\", \"2048-4095\"], b = [\"2047\"] }\n";
    let moved = other.config().replacen("[database.shop]\n", buckets, 1);
    assert_ne!(moved, other.config());
    other.rewrite_config(&moved);
    connect(&other, "ops", "shardway").rows("RELOAD");
    becomes("it is another map", || version(&other).len() == 16 && version(&other) != version(&one));
    assert_eq!(firing(&both), ["shop"]);
    assert_eq!(firing(&both[..1]), [""; 0]);
    let shown: Vec<String> =
        series(pages_of_other, "shardway_shard_map_info").into_iter().map(|labels| labels["version"].clone()).collect();
    assert_eq!(shown, [version(&other)]);
    assert!(other.log().contains(&format!("version=\"{}\"", version(&other))), "{}", other.log());

    other.rewrite_config(other.config());
    connect(&other, "ops", "shardway").rows("RELOAD");
    becomes("they agree again", || version(&other) == version(&one));
    assert_eq!(firing(&both), [""; 0]);
}
