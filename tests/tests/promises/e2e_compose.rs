//! The cluster of compose/ as its users start it: images, health, tokens, restarts, and nothing
//! left behind; and that its units for systemd are valid.
//!
//! No registry is reached: compose/standin makes the images that the cluster is built from out of
//! this machine's own files.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use postq_cli::embedded::Binaries;
use postq_proto::v1::{Job, task};
use postq_tests::{Client, PATIENCE, docker, eventually, states};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::house::root;

/// What a service of the cluster may take to become healthy or to come back.
const HEALTHY: Duration = Duration::from_secs(90);
/// The end of a cluster, with everything that it had.
const DOWN: [&str; 5] = ["down", "--volumes", "--remove-orphans", "--timeout", "20"];
const NO_COMPOSE: &str =
    "this test needs docker-compose: install it, or the compose plugin of docker";

/// One cluster of compose/, with images, names and a port of its own.
struct Stack {
    directory: TempDir,
    binaries: Binaries,
    project: String,
    /// The files of it, the later ones over the earlier ones.
    files: Vec<&'static str>,
    port: u16,
    token: String,
}

impl Stack {
    /// Builds the images and starts nothing.
    fn build() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = format!("postq-compose-{}", std::process::id());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let binaries = Binaries::locate().unwrap_or_else(|error| panic!("{error}"));
        let files = vec!["docker-compose.yml"];
        let stack = Self { directory, binaries, project, files, port, token: String::new() };
        let context = stack.directory.path().join("context");
        let mut images = Command::new(compose_file("standin/images.sh"));
        images.arg(&stack.project).arg(stack.binaries.postq.parent().unwrap()).arg(&context);
        succeed(&mut images);
        fs::write(stack.settings(), stack.settings_for(&context)).unwrap();
        stack.compose(&["build"]);
        let cli = format!("{}-cli", stack.project);
        let base = format!("BASE_IMAGE={}-base", stack.project);
        let build = format!("BUILD_IMAGE={}-base", stack.project);
        let mut build_cli = Command::new("docker");
        build_cli.args(["build", "--quiet", "--file", "compose/Dockerfile", "--target", "cli"]);
        build_cli.args(["--build-arg", &base, "--build-arg", &build]);
        build_cli.args(["--build-arg", "PROGRAMS=dist", "--tag", &cli, "."]).current_dir(&context);
        succeed(&mut build_cli);
        stack
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("settings")
    }

    fn settings_for(&self, context: &Path) -> String {
        let Self { project, port, .. } = self;
        let context = context.display();
        format!(
            "POSTQ_IMAGES={project}\nPOSTGRES_IMAGE={project}-postgres\nPOSTQ_PORT={port}\n\
             POSTQ_BASE_IMAGE={project}-base\nPOSTQ_BUILD_IMAGE={project}-base\n\
             POSTQ_BUILD_CONTEXT={context}\nPOSTQ_PROGRAMS=dist\n\
             POSTQ_SLOTS=1\nPOSTQ_DRAIN_TIMEOUT=0s\n"
        )
    }

    /// docker-compose on this cluster.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = compose_command();
        command.args(["--project-name", &self.project, "--env-file"]).arg(self.settings());
        for file in &self.files {
            command.arg("--file").arg(compose_file(file));
        }
        command.args(arguments);
        command
    }

    /// Runs docker-compose; what it prints.
    fn compose(&self, arguments: &[&str]) -> String {
        succeed(&mut self.command(arguments))
    }

    /// Starts what is not as the files say, and waits until all of it is healthy.
    async fn up(&mut self, arguments: &[&str]) {
        self.compose(&[&["up", "--detach"], arguments].concat());
        self.wait_until_healthy().await;
        self.token = self.compose(&["exec", "-T", "coordinator", "cat", "/run/postq/client-token"]);
    }

    async fn wait_until_healthy(&self) {
        let health = "{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.ExitCode}}{{end}}";
        eventually("every service is healthy", HEALTHY, async || {
            let containers = self.containers();
            let lines = inspect("container", &containers, health);
            let is_well = |line: &str| line.ends_with(" healthy") || line.ends_with("keys_1 0");
            let all_are = lines.lines().all(|line| is_well(&line.replace("keys-1", "keys_1")));
            (all_are && !containers.is_empty()).then_some(())
        })
        .await;
    }

    fn containers(&self) -> Vec<String> {
        let ours = format!("label=com.docker.compose.project={}", self.project);
        words(&docker(&["ps", "--all", "--quiet", "--filter", &ours]))
    }

    fn service(&self, name: &str) -> Vec<String> {
        words(&self.compose(&["ps", "--quiet", name]))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        Client::new(&self.url(), Some(&self.token))
    }

    /// The postq command of this machine, outside of the cluster.
    fn postq(&self, arguments: &[&str], token: Option<&Path>) -> Output {
        let mut command = Command::new(&self.binaries.postq);
        command.args(arguments).args(["--coordinator", &self.url()]);
        command.env_remove("POSTQ_TOKEN").env_remove("POSTQ_TOKEN_FILE");
        if let Some(file) = token {
            command.arg("--token-file").arg(file);
        }
        command.output().unwrap()
    }

    fn sql(&self, statement: &str) -> String {
        let psql = ["exec", "-T", "postgres", "psql", "-U", "postq", "-d", "postq", "-Atqc"];
        self.compose(&[&psql[..], &[statement]].concat())
    }

    /// Makes a file that tasks wait for, in every agent that runs.
    fn touch(&self, name: &str) {
        for agent in self.service("agent") {
            docker(&["exec", &agent, "touch", &format!("/tmp/{name}")]);
        }
    }

    /// Waits until the tasks without dependencies run, in executions that `not` does not know.
    async fn wait_until_running(&self, id: Uuid, not: Option<&Job>) -> Job {
        let runs = |job: &Job| {
            job.tasks.values().filter(|it| it.depends.is_empty()).all(|it| {
                let is_known = not.is_some_and(|not| not.tasks[&it.name].attempt == it.attempt);
                it.state() == task::State::Running && !is_known
            })
        };
        self.client().wait_until(id, "its first tasks run", PATIENCE, runs).await
    }

    /// Takes it down; nothing is left, the volumes without a name included, one for each agent.
    fn ends(&self, agents: usize) {
        let volumes = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}";
        let volumes = words(&inspect("container", &self.containers(), volumes));
        let volumes: BTreeSet<_> = volumes.into_iter().collect();
        assert_eq!(volumes.len(), 4 + agents, "four have a name: {volumes:?}");
        self.compose(&DOWN);
        assert_eq!(self.containers(), Vec::<String>::new());
        let left: BTreeSet<_> = words(&docker(&["volume", "ls", "--quiet"])).into_iter().collect();
        assert_eq!(left.intersection(&volumes).collect::<Vec<_>>(), Vec::<&String>::new());
        let name = format!("name={}", self.project);
        assert_eq!(docker(&["network", "ls", "--quiet", "--filter", &name]), "");
    }
}

impl Drop for Stack {
    /// Nothing here may panic: the test may be failing already.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["logs", "--no-color", "--tail", "30"]).output();
            let logs = logs.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
            eprintln!("{}", logs.unwrap_or_default());
        }
        let _ = self.command(&DOWN).output();
        for name in ["coordinator", "agent", "cli", "postgres", "base"] {
            let image = format!("{}-{name}", self.project);
            let _ = Command::new("docker").args(["rmi", "--force", &image]).output();
        }
    }
}

fn compose_file(name: &str) -> PathBuf {
    root().join("compose").join(name)
}

/// The first of docker's two compose commands that is here.
fn compose_command() -> Command {
    let has_first = Command::new("docker-compose").arg("version").output().is_ok();
    if has_first {
        return Command::new("docker-compose");
    }
    let mut plugin = Command::new("docker");
    plugin.arg("compose");
    plugin
}

/// Runs a command that must succeed; what it prints, without the line end.
fn succeed(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {NO_COMPOSE}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {errors}{said}");
    said.trim_end().to_owned()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

fn inspect(kind: &str, names: &[String], format: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names = names.iter().map(String::as_str);
    docker(&[kind, "inspect", "--format", format].into_iter().chain(names).collect::<Vec<_>>())
}

fn agent_of(job: &Job, task: &str) -> String {
    job.tasks[task].attempt.as_ref().unwrap().agent.clone()
}

/// Two tasks that wait for a file, one for each agent, and one behind both.
fn meeting(file: &str) -> Value {
    let wait = format!("until [ -e /tmp/{file} ]; do sleep 0.1; done; hostname");
    json!({"tasks": {
        "left": {"command": format!("{wait} > left")},
        "right": {"command": format!("{wait} > right")},
        "both": {"depends": ["left", "right"], "command": "cat left right"},
    }})
}

/// PQ43.
#[tokio::test]
async fn the_compose_cluster_starts_by_one_command_survives_restarts_and_leaves_nothing() {
    let mut stack = Stack::build();
    stack.up(&[]).await;
    nobody_comes_in_without_a_token(&stack);
    a_job_from_outside_runs_on_both_agents(&stack).await;
    a_job_from_inside_a_transaction_runs(&stack).await;
    a_job_goes_on_while_services_restart(&stack).await;
    what_dies_is_started_again(&stack).await;
    a_job_goes_on_in_a_restored_database(&stack).await;
    stack.ends(2);

    stack.files.extend(["docker-compose.run-as.yml", "docker-compose.docker.yml"]);
    stack.up(&["--scale", "agent=3"]).await;
    tasks_of_another_user_do_not_see_the_token(&stack).await;
    containers_of_a_job_run_on_both_agents(&stack).await;
    stack.ends(3);
}

#[test]
fn the_compose_files_are_valid_with_and_without_the_sample_settings() {
    let more = ["docker-compose.run-as.yml", "docker-compose.docker.yml"];
    let nothing = tempfile::NamedTempFile::new().unwrap();
    for files in [&more[..0], &more[..1], &more[..]] {
        for settings in [nothing.path().to_owned(), compose_file(".env.example")] {
            let mut command = compose_command();
            command.arg("--env-file").arg(settings);
            for file in ["docker-compose.yml"].iter().chain(files) {
                command.arg("--file").arg(compose_file(file));
            }
            succeed(command.args(["config", "--quiet"]));
        }
    }
}

#[test]
fn the_systemd_units_are_valid() {
    let directory = tempfile::tempdir().unwrap();
    let programs = Binaries::locate().unwrap_or_else(|error| panic!("{error}"));
    let programs = programs.postq.parent().unwrap().to_str().unwrap();
    for name in ["postq-coordinator.service", "postq-agent.service"] {
        // What is checked must be installed; here it is where it was built.
        let unit = fs::read_to_string(compose_file("systemd").join(name)).unwrap();
        let here = directory.path().join(name);
        fs::write(&here, unit.replace("/usr/local/bin", programs)).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let output = verify.args(["verify", "--man=no"]).arg(&here).output();
        let output = output.expect("this test needs systemd-analyze: install systemd");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains(name), "{said}");
    }
}

fn nobody_comes_in_without_a_token(stack: &Stack) {
    assert_eq!(stack.postq(&["ls"], None).status.code(), Some(5), "without a token");
    let agents = stack.compose(&["exec", "-T", "agent", "cat", "/run/postq/token"]);
    let file = stack.directory.path().join("agent-token");
    fs::write(&file, agents).unwrap();
    assert_eq!(stack.postq(&["ls"], Some(&file)).status.code(), Some(5), "with an agent's");

    let ports = "{{range $port, $at := .NetworkSettings.Ports}}{{range $at}}{{$port}} {{.HostIp}} {{end}}{{end}}";
    let open = words(&inspect("container", &stack.containers(), ports));
    assert_eq!(open, ["7432/tcp", "127.0.0.1"], "what other hosts can reach");
    let users = inspect(
        "image",
        &["coordinator", "agent", "cli"].map(|it| format!("{}-{it}", stack.project)),
        "{{.Config.User}}",
    );
    assert_eq!(words(&users), ["postq"; 3]);
    let from_agent = docker(&[
        "exec",
        &stack.service("agent")[0],
        "sh",
        "-c",
        "nslookup postgres > /dev/null 2>&1 || echo unknown",
    ]);
    assert_eq!(from_agent, "unknown", "tasks reach the database");
}

async fn a_job_from_outside_runs_on_both_agents(stack: &Stack) {
    let token = stack.directory.path().join("client-token");
    fs::write(&token, &stack.token).unwrap();
    let file = stack.directory.path().join("job.json");
    fs::write(&file, meeting("first").to_string()).unwrap();
    let submitted = stack.postq(&["submit", file.to_str().unwrap()], Some(&token));
    let id = String::from_utf8(submitted.stdout).unwrap().trim().parse().unwrap();
    stack.wait_until_running(id, None).await;
    stack.touch("first");
    let job = stack.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "both succeeded, left succeeded, right succeeded");
    let hosts = [agent_of(&job, "left"), agent_of(&job, "right")];
    assert_ne!(hosts[0], hosts[1]);
    assert_eq!(words(&job.tasks["both"].results), hosts, "files of both");

    // The command's own image, on the network of agents.
    let network = format!("{}_agents", stack.project);
    let image = format!("{}-cli", stack.project);
    let variable = format!("POSTQ_TOKEN={}", stack.token);
    let mut command = vec!["run", "--rm", "--network", &network, "--env", &variable];
    command.extend([&image, "ls", "--coordinator", "http://coordinator:7432"]);
    assert!(docker(&command).contains(&id.to_string()));
}

async fn a_job_from_inside_a_transaction_runs(stack: &Stack) {
    let submit = |n: u32| {
        format!("select postq.submit('{{\"tasks\": {{\"a\": {{\"command\": \"echo {n}\"}}}}}}')")
    };
    stack.sql(&format!("begin; {}; rollback", submit(1)));
    let id = stack.sql(&submit(2)).parse().unwrap();
    let job = stack.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "2\n");
    assert_eq!(stack.sql("select count(*) from postq.job"), "2");
}

async fn a_job_goes_on_while_services_restart(stack: &Stack) {
    let id = stack.client().submit(&meeting("second")).await;
    let begun = stack.wait_until_running(id, None).await;
    for service in ["coordinator", "postgres"] {
        stack.compose(&["restart", service]);
        stack.wait_until_healthy().await;
    }
    let job = stack.wait_until_running(id, None).await;
    for task in ["left", "right"] {
        assert_eq!(job.tasks[task].attempt, begun.tasks[task].attempt, "{task} went on");
    }
    // What an agent runs when it is stopped is given back, uncounted, and runs again.
    stack.compose(&["restart", "agent"]);
    stack.wait_until_healthy().await;
    stack.wait_until_running(id, Some(&begun)).await;
    stack.touch("second");
    let job = stack.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "both succeeded, left succeeded, right succeeded");
}

/// By the engine, whoever died: the first process of each container but the one that ends by itself.
async fn what_dies_is_started_again(stack: &Stack) {
    let policies = "{{.Name}} {{.HostConfig.RestartPolicy.Name}}";
    for line in inspect("container", &stack.containers(), policies).lines() {
        let wanted = if line.contains("keys") { " no" } else { " unless-stopped" };
        assert!(line.ends_with(wanted), "{line}");
    }
    let restarts = |container: &str| -> u32 {
        inspect("container", &[container.to_owned()], "{{.RestartCount}}").parse().unwrap()
    };
    for service in ["coordinator", "agent"] {
        let container = stack.service(service).remove(0);
        let died = restarts(&container);
        let kill = format!("kill -9 $(pidof postq-{service})");
        docker(&["exec", &container, "sh", "-c", &kill]);
        eventually("it is started again", HEALTHY, async || {
            (restarts(&container) > died).then_some(())
        })
        .await;
    }
    stack.wait_until_healthy().await;
    let document = json!({"tasks": {"a": {"command": "echo again"}}});
    assert_eq!(stack.client().run(&document).await.tasks["a"].results, "again\n");
}

/// As docs/deploy.md says: the dump, then an empty database of it under the same store.
async fn a_job_goes_on_in_a_restored_database(stack: &Stack) {
    let id = stack.client().submit(&meeting("third")).await;
    stack.wait_until_running(id, None).await;
    let postgres = |command: &str| stack.compose(&["exec", "-T", "postgres", "sh", "-ec", command]);
    postgres("pg_dump -U postq -Fc postq > /tmp/postq.dump");
    let later = stack.client().submit(&json!({"tasks": {"a": {"command": "true"}}})).await;
    stack.compose(&["stop", "coordinator"]);
    postgres("dropdb -U postq --force postq; createdb -U postq postq");
    postgres("pg_restore -U postq -d postq --exit-on-error /tmp/postq.dump");
    stack.compose(&["start", "coordinator"]);
    stack.wait_until_healthy().await;
    let unknown = stack.client().try_get(later).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound, "it is younger than the dump");
    stack.touch("third");
    let job = stack.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "both succeeded, left succeeded, right succeeded");
}

async fn tasks_of_another_user_do_not_see_the_token(stack: &Stack) {
    let connected = async || {
        let agents = stack.client().agents().await.ok()?;
        (agents.len() == 3).then_some(())
    };
    eventually("three agents are connected", PATIENCE, connected).await;
    let document = json!({"tasks": {
        "a": {"command": "id -un; cat /run/postq/token || echo hidden"},
    }});
    let job = stack.client().run(&document).await;
    assert_eq!(words(&job.tasks["a"].results), ["task", "hidden"]);
}

/// Submitted from outside and by SQL from inside; files go from agent to agent.
async fn containers_of_a_job_run_on_both_agents(stack: &Stack) {
    let image = format!("{}-base", stack.project);
    let waits = "until [ -e /tmp/go ]; do sleep 0.1; done; ls /var/run/docker.sock || id -u; \
                 echo $POSTQ_AGENT";
    let document = json!({"tasks": {
        "left": {"image": image, "command": format!("{waits} > left")},
        "right": {"image": image, "command": format!("{waits} > right")},
        "both": {"depends": ["left", "right"], "image": image, "command": "cat left right"},
        "shell": {"command": "id -un; [ -w /var/run/docker.sock ] || echo out of reach"},
    }});
    let from_inside = format!("select postq.submit('{document}')");
    let ids = [stack.client().submit(&document).await, stack.sql(&from_inside).parse().unwrap()];
    for id in ids {
        let label = format!("label=postq.job={id}");
        let both = eventually("both containers run", PATIENCE, async || {
            let running = words(&docker(&["ps", "--quiet", "--filter", &label]));
            (running.len() == 2).then_some(running)
        });
        for container in both.await {
            docker(&["exec", &container, "touch", "/tmp/go"]);
        }
        let job = stack.client().wait(id, PATIENCE).await;
        let all = "both succeeded, left succeeded, right succeeded, shell succeeded";
        assert_eq!(states(&job), all);
        let hosts = [agent_of(&job, "left"), agent_of(&job, "right")];
        assert_ne!(hosts[0], hosts[1]);
        assert_eq!(words(&job.tasks["both"].results), hosts, "files of both");
        assert_eq!(job.tasks["shell"].results, "task\nout of reach\n");
        assert_eq!(job.tasks["left"].results, "0\n", "without a socket");
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &label]), "");
    }
}
