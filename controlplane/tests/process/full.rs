//! A full disk: what cannot be kept is not taken, what is in force stays, and when there is room again all goes on by itself.
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{Home, ROUTES, Sloop, eventually, get, program, report, slo};

fn home() -> Home {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    home
}

/// How much of a file the process may write: nothing; its first page, where redb says what is where; or all.
#[derive(Clone, Copy, Debug)]
enum Room {
    None,
    Page,
    All,
}

/// Lets the process write so much of each file. What is beyond fails, also where the file has it already.
fn give(room: Room, sloop: &Sloop) {
    let bytes = match room {
        Room::None => "0",
        Room::Page => "4096",
        Room::All => "unlimited",
    };
    let set = Command::new("prlimit")
        .args(["--pid", &sloop.id().to_string()])
        .arg(format!("--fsize={bytes}:unlimited"))
        .status();
    assert!(set.expect("util-linux is installed").success());
}

/// Hands `text` in as people do.
fn apply(sloop: &Sloop, file: &Path, text: &str) -> Output {
    fs::write(file, text).unwrap();
    Command::new(program())
        .args(["apply", "--admin", &sloop.http.to_string(), "-f"])
        .arg(file)
        .output()
        .unwrap()
}

/// The names of what was handed in.
async fn applied(sloop: &Sloop) -> Vec<String> {
    let files = sloop.items("/v1/documents").await;
    let names = files.iter().filter_map(|file| file["file"].as_str());
    let names = names.filter(|file| file.starts_with("applied:"));
    names.map(str::to_owned).collect()
}

async fn failing(sloop: &Sloop) -> Option<f64> {
    sloop.metric("sloop_controlplane_store_failing").await
}

/// VMs that report.
const VMS: u64 = 4;

/// The newest report of each VM, of which as many requests as its number.
async fn send(client: &mut ReportServiceClient<Channel>, sequence: u64) -> Vec<Code> {
    let mut codes = Vec::new();
    for vm in 1..=VMS {
        let code = match client.report(report(vm, sequence, sequence, 0)).await {
            Ok(_) => Code::Ok,
            Err(status) => {
                assert!(status.message().contains("the store "), "{status}");
                status.code()
            }
        };
        codes.push(code);
    }
    codes
}

/// Sends them until they are acknowledged.
async fn send_until_taken(client: &mut ReportServiceClient<Channel>, sequence: u64) {
    eventually("reports are acknowledged", async || {
        let codes = send(client, sequence).await;
        codes.iter().all(|code| *code == Code::Ok).then_some(())
    })
    .await;
}

/// What it says to `text` being handed in.
async fn http_status(sloop: &Sloop, text: &str) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let at = format!("http://{}/v1/documents", sloop.http);
    let request = Request::post(at).body(Full::from(text.to_owned())).unwrap();
    client.request(request).await.unwrap().status().as_u16()
}

async fn requests(sloop: &Sloop) -> Option<u64> {
    sloop.items("/v1/scopes").await[0]["requests"].as_u64()
}

/// A disk that is full while filters report and somebody applies documents, and then has room again.
async fn fills(room: Room) {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let (log, late) = (folder.path().join("log"), folder.path().join("late.yaml"));
    let sloop = home.start_bounded(&log);
    let mut client = sloop.reports();
    send_until_taken(&mut client, 1).await;
    give(room, &sloop);
    for _ in 0..3 {
        assert_eq!(
            send(&mut client, 2).await,
            [Code::Unavailable; 4],
            "{room:?}"
        );
    }
    assert_eq!(failing(&sloop).await, Some(1.0));
    let (status, ready) = sloop.get("/readyz").await;
    let ready = String::from_utf8(ready.to_vec()).unwrap();
    assert_eq!(status, 200, "{ready}");
    assert!(ready.starts_with("ready, but for "), "{ready}");
    assert!(ready.contains("File too large"), "{ready}");

    // Nobody is told that something is kept that is not.
    let text = slo("late", "0.9");
    let refused = apply(&sloop, &late, &text);
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("could not be stored, and nothing is changed"),
        "{said}"
    );
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(applied(&sloop).await, [""; 0]);
    assert_eq!(http_status(&sloop, &text).await, 507);

    // It is tried again, whatever it has of it.
    let tried = "sloop_controlplane_store_commits_failed_total";
    eventually("it is tried again", async || {
        sloop.metric(tried).await.filter(|tried| 4.0 <= *tried)
    })
    .await;
    give(Room::All, &sloop);
    send_until_taken(&mut client, 2).await;
    assert_eq!(failing(&sloop).await, Some(0.0));
    assert_eq!(sloop.get("/readyz").await.1, "ready\n");
    assert_eq!(
        requests(&sloop).await,
        Some(3 * VMS),
        "none lost, none twice"
    );
    let taken = apply(&sloop, &late, &text);
    assert!(taken.status.success(), "{taken:?}");
    sloop.kill();
    let log = fs::read_to_string(log).unwrap();
    for said in [
        "the store takes nothing",
        "the store takes everything again",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said}: once");
    }
    let again = home.start();
    assert_eq!(requests(&again).await, Some(3 * VMS), "also on the disk");
    assert_eq!(applied(&again).await, ["applied:SLO/late"]);
}

#[tokio::test]
async fn what_a_full_disk_has_no_room_for_is_not_acknowledged_and_comes_again() {
    fills(Room::None).await;
}

#[tokio::test]
async fn nor_is_it_where_the_disk_takes_a_part_of_what_is_written() {
    fills(Room::Page).await;
}

#[tokio::test]
async fn after_a_kill_on_a_full_disk_there_is_what_was_acknowledged_and_no_more() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let sloop = home.start_bounded(&folder.path().join("log"));
    let mut client = sloop.reports();
    send_until_taken(&mut client, 1).await;
    give(Room::Page, &sloop);
    assert_eq!(send(&mut client, 2).await, [Code::Unavailable; 4]);
    let refused = apply(
        &sloop,
        &folder.path().join("late.yaml"),
        &slo("late", "0.9"),
    );
    assert!(!refused.status.success());
    sloop.kill();

    let again = home.start();
    assert_eq!(requests(&again).await, Some(VMS));
    assert_eq!(applied(&again).await, [""; 0], "nothing half applied");
    send_until_taken(&mut again.reports(), 2).await;
    assert_eq!(requests(&again).await, Some(3 * VMS));
}

#[tokio::test]
async fn what_files_say_while_the_disk_is_full_holds_and_is_stored_later() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let sloop = home.start_bounded(&folder.path().join("log"));
    let mut client = sloop.reports();
    send_until_taken(&mut client, 1).await;
    give(Room::None, &sloop);
    assert_eq!(send(&mut client, 2).await, [Code::Unavailable; 4]);
    home.write("more.yaml", &slo("more", "0.9"));
    let has_more = async |sloop: &Sloop| {
        let slos = sloop.items("/v1/slos").await;
        slos.iter().any(|slo| slo["name"] == "more").then_some(())
    };
    eventually("the file holds", async || has_more(&sloop).await).await;
    give(Room::All, &sloop);
    eventually("the store is well", async || {
        failing(&sloop).await.filter(|failing| *failing == 0.0)
    })
    .await;
    // What is stored of it is only seen by who begins anew, beside a mistake in the file.
    let kept = eventually("what it says is stored", async || {
        let bytes = fs::read(home.store()).unwrap();
        let key = format!("file\n{}", home.document("more.yaml").display());
        let mut places = bytes.windows(key.len());
        places.any(|place| place == key.as_bytes()).then_some(())
    });
    kept.await;
    sloop.kill();
    home.write("more.yaml", "kind: nonsense");
    let again = home.start();
    eventually("it holds all the same", async || has_more(&again).await).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let home = home();
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (grpc, http) = (free(), free());
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = Command::new(program())
        .args(["serve", "--module", "/sloop_filter.wasm"])
        .args(["--listen", &grpc.to_string()])
        .args(["--admin", &http.to_string()])
        .arg("--documents")
        .arg(home.documents())
        .arg("--store")
        .arg(home.store())
        .stderr(Stdio::from(full))
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let ready = async || {
        let (status, _) = get(http, "/readyz").await?;
        (status == 200).then_some(())
    };
    eventually("it is ready", ready).await;
    // Which it says, as all that is wrong with it.
    home.write("bad.yaml", "kind: nonsense");
    eventually("a mistake is seen", async || {
        let (_, body) = get(http, "/v1/documents").await?;
        String::from_utf8_lossy(&body)
            .contains("bad.yaml")
            .then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(child.0.try_wait().unwrap(), None);
}

/// A process that ends with what asked for it, whatever comes of that.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let killed = self.0.kill();
        let waited = self.0.wait();
        drop((killed, waited));
    }
}
