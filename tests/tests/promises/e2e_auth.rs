//! Who comes in: with tokens, nobody without the right one.

use postq_proto::v1::{
    ConnectRequest, Hello, connect_request::Message, dispatch_service_client::DispatchServiceClient,
};
use postq_tests::{AgentSetup, Client, Cluster, Database};
use serde_json::json;
use tonic::Code;

const TOKENS: &str = "# of the tests\nclient for-clients\nagent for-agents\nfor-both\n";

/// A coordinator with tokens, on an address that other hosts could reach, and an agent.
async fn guarded() -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    let file = cluster.path("tokens");
    std::fs::write(&file, TOKENS).unwrap();
    let arguments = ["--token-file", file.to_str().unwrap()];
    cluster.add_coordinator_at("0.0.0.0", &arguments, Some("for-clients")).await;
    let environment = vec![("POSTQ_TOKEN".to_owned(), "for-agents".into())];
    cluster.add_agent(AgentSetup { environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    cluster
}

async fn connect(client: &Client) -> Result<(), tonic::Status> {
    let hello = Hello {
        agent_id: uuid::Uuid::new_v4().to_string(),
        boot_id: uuid::Uuid::new_v4().to_string(),
        name: "stranger".into(),
        slots: 1,
        ..Hello::default()
    };
    let first = ConnectRequest { message: Some(Message::Hello(hello)), ..Default::default() };
    let mut dispatch = DispatchServiceClient::new(client.channel());
    dispatch.connect(tokio_stream::once(first)).await.map(drop)
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_and_nothing_else() {
    let cluster = guarded().await;
    let url = cluster.url(0);
    let document = json!({"tasks": {"a": {"command": "echo hi; env"}}});
    let job = cluster.client().run(&document).await;
    assert!(job.tasks["a"].results.starts_with("hi\n"));
    assert!(!job.tasks["a"].results.contains("for-agents"), "a task sees its agent's token");

    for (token, code) in [
        (None, Code::Unauthenticated),
        (Some("unknown"), Code::Unauthenticated),
        (Some("for-agents"), Code::PermissionDenied),
    ] {
        let client = Client::new(&url, token);
        assert_eq!(client.try_submit(&document).await.unwrap_err().code(), code, "{token:?}");
        let id = job.id.parse().unwrap();
        assert_eq!(client.try_get(id).await.unwrap_err().code(), code, "{token:?}");
    }
    for (token, code) in [
        (None, Some(Code::Unauthenticated)),
        (Some("for-clients"), Some(Code::PermissionDenied)),
        (Some("for-both"), None),
    ] {
        let refused = connect(&Client::new(&url, token)).await.err();
        assert_eq!(refused.map(|status| status.code()), code, "{token:?}");
    }
    assert!(Client::new(&url, Some("for-both")).try_submit(&document).await.is_ok());
    let jobs: i64 = cluster.database.value("select count(*) from postq.job").await;
    assert_eq!(jobs, 2, "what was refused left something behind");
}

#[tokio::test]
async fn an_agent_without_a_token_is_told_what_it_lacks() {
    let mut cluster = guarded().await;
    cluster.add_agent(AgentSetup::default()).await;
    let agent = cluster.agent(1);
    let said = async || agent.log().contains("POSTQ_TOKEN").then_some(());
    postq_tests::eventually("the agent names its token", postq_tests::PATIENCE, said).await;
    assert!(!cluster.client().agents().await.unwrap().contains_key("agent-2"));
}

#[tokio::test]
async fn agents_and_commands_take_their_token_from_a_file_that_no_argument_shows() {
    let mut cluster = guarded().await;
    let file = cluster.path("tokens");
    let environment = vec![("POSTQ_TOKEN_FILE".to_owned(), file.clone().into_os_string())];
    cluster.add_agent(AgentSetup { environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;

    let list = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&cluster.binaries().postq);
        command.args(["ls", "--coordinator", &cluster.url(0)]).args(arguments);
        let command = command.env_remove("POSTQ_TOKEN").env_remove("POSTQ_TOKEN_FILE");
        command.output().unwrap()
    };
    let refused = list(&[]);
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && complaint.contains("--token-file"), "{complaint}");
    let listed = list(&["--token-file", file.to_str().unwrap()]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
}
