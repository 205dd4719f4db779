//! What a demonstration stands on: a folder of its own, Kafka and a database (embedded, or real ones that are empty), founded,
//! with the county's policy in force and a key for its schools.

use super::super::installation::{admin, connection};
use super::super::{key, migrate, simulate};
use super::Demo;
use anyhow::{Context, bail};
use policy::{Files, Policy};
use service::config::{Settings, Sources};
use simulator::County;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use store::{CommitError, Store, installation, policy_set};
use transport::{AdminError, Connection, Embedded, Topic};

/// Partitions of a demonstration's topics.
const PARTITIONS: u32 = 4;
/// The receiver of what no locality claims.
const NOBODY: &str = "unclaimed";
/// What tells a folder of ours from one that must not be touched.
const MARKER: &str = ".earlybell-demo";

/// The ground.
pub(crate) struct Ground {
    /// Where everything of the demonstration lies.
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) connection: Connection,
    pub(crate) partitions: u32,
    pub(crate) policy: Policy,
    /// The key of all schools.
    pub(crate) key: String,
    /// Whether the parts are embedded: then the broker forgets what nobody has read in time.
    pub(crate) kind: Kind,
    /// Held as long as it is used: no other demonstration empties the folder.
    _lock: File,
}

/// What the parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Real,
}

impl Ground {
    /// Makes it.
    pub(crate) async fn prepare(demo: &Demo, county: &County) -> anyhow::Result<Self> {
        let (folder, lock) = fresh_folder(&demo.folder)?;
        write_policy(county, &folder)?;
        let files = Files::load(&folder.join("policy"))?;
        let (policy, _) = Policy::read(&files).context("the county's policy")?;
        let embedded = if demo.brokers.is_none() { Some(embedded()?) } else { None };
        let settings = settings(demo, &folder, embedded.as_ref())?;
        let connection = connection(&settings, "demo");
        if embedded.is_none() {
            unused(&connection).await?;
        }
        let store = database(&settings).await?;
        if embedded.is_none() {
            migrate::topics(&settings, PARTITIONS).await?;
        }
        put_in_force(&store, &files).await?;
        let key = key::make(&store, "demo", key::new("county", "*".to_owned(), None)).await?;
        let kind = if embedded.is_some() { Kind::Embedded } else { Kind::Real };
        Ok(Self { folder, settings, store, connection, partitions: PARTITIONS, policy, key, kind, _lock: lock })
    }

    /// Where the services log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("earlybell.log")
    }

    /// Where the messages land.
    pub(crate) fn messages(&self) -> PathBuf {
        self.folder.join("messages")
    }
}

/// Refuses a Kafka that an installation uses: the demonstration's children would come into its records.
async fn unused(connection: &Connection) -> anyhow::Result<()> {
    let admin = admin(connection)?;
    for topic in [Topic::registers(), Topic::events(), Topic::alerts()] {
        match admin.partition_count(topic.as_str()).await {
            Err(AdminError::NoTopic(_)) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => bail!(
                "this Kafka holds an installation already (topic {topic}): give --brokers one that has no topics of Earlybell"
            ),
        }
    }
    Ok(())
}

/// The receiver of a locality's team.
pub(crate) fn receiver(locality: &str) -> String {
    locality.replace(' ', "-").to_lowercase()
}

/// An empty folder: a new one, or that of an earlier demonstration.
fn fresh_folder(folder: &Path) -> anyhow::Result<(PathBuf, File)> {
    let taken = || format!("another demonstration runs in {}: name another folder by --folder", folder.display());
    let before = File::open(folder.join(MARKER)).ok();
    if let Some(before) = &before {
        before.try_lock().with_context(taken)?;
    }
    if folder.exists() {
        let empty = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?.next().is_none();
        if !empty && !folder.join(MARKER).exists() {
            bail!("{} is no folder of a demonstration and not empty: name another by --folder", folder.display());
        }
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let mut marker = File::create(folder.join(MARKER))?;
    marker.write_all(b"The next demonstration empties this folder.\n")?;
    marker.try_lock().with_context(taken)?;
    Ok((folder, marker))
}

/// The county's policy, with a folder of files for each locality's team.
fn write_policy(county: &County, folder: &Path) -> anyhow::Result<()> {
    let policy = folder.join("policy");
    simulate::write_policy(county, &policy)?;
    let messages = folder.join("messages");
    // A term in seconds: what is on its way may be weeks old by the registers' clock, and is news all the same.
    let mut text = format!("\n[notify]\nnewer_than = 200\nstorm = 0\ndefault = [{NOBODY:?}]\n");
    let localities = simulator::types::Locality::ALL.map(simulator::types::Locality::name);
    for name in localities.iter().map(|name| receiver(name)).chain([NOBODY.to_owned()]) {
        let path = messages.join(&name).display().to_string();
        text += &format!("\n[[receiver]]\nname = {name:?}\nkind = \"folder\"\npath = {path:?}\n");
    }
    for name in localities {
        text += &format!("\n[[route]]\nlocalities = [{name:?}]\nto = [{:?}]\n", receiver(name));
    }
    let authority = policy.join("authority.toml");
    let before = fs::read_to_string(&authority)?;
    Ok(fs::write(authority, before + &text)?)
}

/// A broker that lives as long as this process.
fn embedded() -> anyhow::Result<Embedded> {
    let embedded = Embedded::start()?;
    for topic in [Topic::registers(), Topic::events(), Topic::alerts()] {
        embedded.create_topic(topic.as_str(), PARTITIONS)?;
    }
    Ok(embedded)
}

/// The process's settings, and over them what makes a demonstration of it.
fn settings(demo: &Demo, folder: &Path, embedded: Option<&Embedded>) -> anyhow::Result<Settings> {
    // Embedded parts are the demonstration's own: what the environment says of real ones does not concern them.
    let mut sources = if embedded.is_some() { Sources::default() } else { Sources::of_process(None) };
    sources.file = None;
    let mut set = |name: &str, value: OsString| _ = sources.environment.insert(format!("EARLYBELL__{name}"), value);
    match (embedded, &demo.brokers, &demo.database) {
        (None, Some(brokers), Some(database)) => {
            set("KAFKA__BROKERS", brokers.into());
            set("DATABASE__URL", database.into());
            set("KAFKA__REPLICATION", "1".into());
            set("KAFKA__MIN_INSYNC", "1".into());
        }
        (Some(embedded), ..) => {
            set("KAFKA__BROKERS", embedded.brokers().into());
            set("DATABASE__URL", format!("sqlite://{}", folder.join("demo.db").display()).into());
        }
        _ => bail!("--brokers and --database go together: both real, or both embedded"),
    }
    // What the embedded broker keeps is little: records are written often, under a backlog too.
    if embedded.is_some() {
        set("RULES__CHECKPOINT_EVERY", "500ms".into());
        set("RULES__BACKLOG_CHECKPOINT_EVERY", "500ms".into());
    }
    // One key sends a whole county's term within a minute.
    set("INGEST__KEY_REQUESTS", "0".into());
    set("NOTIFIER__LISTEN", "127.0.0.1:0".into());
    set("NOTIFIER__TICK", "200ms".into());
    Ok(Settings::load(&sources)?)
}

async fn database(settings: &Settings) -> anyhow::Result<Store> {
    let options = super::super::installation::options(settings, "demo");
    let store = Store::connect(settings.database.url.expose(), &options).await.context("the database")?;
    if store.schema_version().await.is_ok_and(|version| version > 0) && installation::get(&store).await?.is_some() {
        bail!("the database holds an installation already; a demonstration needs an empty one");
    }
    store.migrate().await.context("the database")?;
    migrate::found(&store, PARTITIONS, installation::Clock::Registers).await?;
    Ok(store)
}

async fn put_in_force(store: &Store, files: &Files) -> anyhow::Result<()> {
    let now = service::clock::Clock::wall().wall_now().micros();
    let mut tx = store.begin().await?;
    policy_set::put_in_force(&mut tx, &serde_json::to_string(files)?, "demo", now).await?;
    tx.commit().await.map_err(CommitError::into_cause)?;
    Ok(())
}
