use std::path::PathBuf;

use aws_config::profile::ProfileSet;
use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::*;

/// The size of large files: a quarter of the maximum.
const MAX_TEXT: usize = 1024 * 1024;

/// Both files in a directory of their own.
struct Files {
    directory: TempDir,
}

impl Files {
    /// The credentials file follows after `---`.
    fn new(text: &str) -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        let (config, credentials) = text.split_once("---").unwrap_or((text, ""));
        std::fs::write(files.path("config"), config).unwrap();
        std::fs::write(files.path("credentials"), credentials).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn select(&self, profile: Option<&str>) -> SharedConfig {
        self.select_with(profile, &ParsedFiles::default())
    }

    fn select_with(&self, profile: Option<&str>, parsed: &ParsedFiles) -> SharedConfig {
        let (config, credentials) = (self.path("config"), self.path("credentials"));
        let paths = ConfiguredPaths { config: Some(&config), credentials: Some(&credentials) };
        SharedConfig::read(paths, &Environment::of(&[]), profile, parsed)
    }

    /// The error about a profile, without the directory of the files.
    fn error(&self, profile: &str) -> String {
        let error = self.select(Some(profile)).check_selected().unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
            .replace(&format!("{}/", self.directory.path().display()), "")
            .replace(" (selected by `profile`)", "")
    }
}

async fn profiles(text: &str, profile: &str) -> ProfileSet {
    let files = Files::new(text).select(Some(profile));
    assert_eq!(files.check_selected(), Ok(()), "{text:?}");
    files.profiles().await.unwrap()
}

#[tokio::test]
async fn the_sdk_gets_what_the_aws_cli_reads() {
    for (text, profile) in [
        ("[profile x]\n  region = eu-west-1\n  output = json\n", "x"),
        ("[profile x]\n\tregion\t=\teu-west-1\n", "x"),
        ("[profile x]\r\n  output = json\r\n  region = eu-west-1\r\n", "x"),
        ("[profile x]\rregion = eu-west-1\r", "x"),
        ("  [profile x]\n  region = eu-west-1\n", "x"),
        ("[profile \"x\"]\nregion = eu-west-1\n", "x"),
        ("[profile 'x']\nregion = eu-west-1\n", "x"),
        ("[profile \"my team\"]\nregion = eu-west-1\n", "my team"),
        ("[profile \"a]b\"]\nregion = eu-west-1\n", "a]b"),
        ("[profile tëam]\nregion = eu-west-1\n", "tëam"),
        ("[profile 100%]\nregion = eu-west-1\n", "100%"),
        ("[profile\tx]\nregion = eu-west-1\n", "x"),
        ("[profile x] # comment [1]\nregion = eu-west-1\n", "x"),
        ("[profile x]\nregion: eu-west-1\n", "x"),
        ("[profile x]\nREGION=eu-west-1\n", "x"),
        ("[profile x]\nregion\u{a0}=\u{a0}eu-west-1\n", "x"),
        ("[profile x]\n  # comment\n  ; comment = 1\n  region = eu-west-1\n", "x"),
        ("[profile x]\n  s3 =\n    max = 3\n  region = eu-west-1\n", "x"),
        ("[profile x]\ns3 =\n  max = 3\n\n  # comment\n  min = 2\nregion = eu-west-1\n", "x"),
        ("[profile x]\ncli_pager =\nregion = eu-west-1\n", "x"),
        ("[default]\n  region = eu-west-1\n", "default"),
        ("[profile default]\nregion = eu-west-1\n[default]\nregion = nope\nwrong\n", "default"),
        ("---[my team]\n  region = eu-west-1\n", "my team"),
        ("---[o'brien]\nregion = eu-west-1\n", "o'brien"),
        // What only the SDKs accept.
        ("\u{feff}[profile x]\nregion = eu-west-1", "x"),
        ("[profile x]\nregion = eu-west-1 # comment\n", "x"),
        ("[profile x]\nregion = nope\n[profile x]\nregion = eu-west-1\n", "x"),
        ("[profile x]\nregion = nope\nregion = eu-west-1\n", "x"),
        ("[profile x]\nregion = nope\n---[x]\nregion = eu-west-1\n", "x"),
        // Bad lines of other sections.
        (
            "garbage\n[profile x]\nregion = eu-west-1\n[profile y\nregion = nope\n[profile]\nregion = nope\n",
            "x",
        ),
        ("[profile y]\nregion nope\n= 1\n[profile x]\nregion = eu-west-1\n---[y\nnope", "x"),
        ("[profile \"y]\nregion = nope\n[profile x]\nregion = eu-west-1\n", "x"),
    ] {
        let profiles = profiles(text, profile).await;
        assert_eq!(profiles.get("region"), Some("eu-west-1"), "{text:?}");
    }
}

#[tokio::test]
async fn nested_properties_do_not_become_settings_of_the_profile() {
    let text = "[profile x]\n  s3 =\n    region = nope\n    endpoint_url = nope\n  services = my local\n\
                [services 'my local']\nssm =\n  endpoint_url = http://127.0.0.1:1\n";
    let profiles = profiles(text, "x").await;
    assert_eq!((profiles.get("region"), profiles.get("endpoint_url")), (None, None));
    assert_eq!(profiles.get("s3"), Some("\nregion = nope\nendpoint_url = nope"));
    let key = aws_runtime::env_config::property::PropertiesKey::builder()
        .section_key("services")
        .section_name(profiles.get("services").unwrap())
        .property_name("ssm")
        .sub_property_name("endpoint_url")
        .build()
        .unwrap();
    assert_eq!(profiles.other_sections().get(&key).map(String::as_str), Some("http://127.0.0.1:1"));
}

#[tokio::test]
async fn values_reach_the_sdk_unchanged() {
    let text = "[profile x]\nrole_arn = arn:aws:iam::1:role/a=b:c\ncredential_process = sh -c 'a=1;b#2' --x=[y]\n  --more=1\n\
                external_id =#1\nsource_profile = my team\n[profile \"my team\"]\n[sso-session dev]\nsso_region = a\n";
    let profiles = profiles(text, "x").await;
    for (key, value) in [
        ("role_arn", "arn:aws:iam::1:role/a=b:c"),
        ("credential_process", "sh -c 'a=1;b#2' --x=[y]\n--more=1"),
        ("external_id", "#1"),
    ] {
        assert_eq!(profiles.get(key), Some(value));
    }
    assert!(profiles.get_profile(profiles.get("source_profile").unwrap()).is_some());
    assert_eq!(profiles.sso_session("dev").unwrap().get("sso_region"), Some("a"));
}

#[test]
fn a_profile_that_cannot_be_read_is_an_error_with_file_and_line() {
    for (text, error) in [
        ("[profile x]\nregion eu-west-1\n", "config:2: expected `key = value`"),
        ("[profile x]\n= eu-west-1\n", "config:2: there is no key before the `=`"),
        (
            "[profile x]\noutput = json\n  region = eu-west-1\n",
            "config:3: the line is indented more than `output` on line 2, so it continues that value; indent both equally",
        ),
        // Regression: this said that the profile was not defined.
        (
            "[profile a]\noutput = json\n  [profile x]\n  region = eu-west-1\n",
            "config:3: the line is indented more than `output` on line 2, so it continues that value; indent both equally",
        ),
        ("[profile x]\ns3 =\n  max\n", "config:3: expected `key = value`"),
        ("[profile x]\na = b\n---\n[x]\nregion\n", "credentials:3: expected `key = value`"),
    ] {
        assert_eq!(
            Files::new(text).error("x"),
            format!("the profile `x` cannot be read: {error}"),
            "{text:?}"
        );
    }
}

#[test]
fn the_error_about_a_missing_profile_says_what_is_there_instead() {
    let missing = |name: &str| format!("the profile `{name}` is not defined in config or credentials; ");
    for (text, name, hint) in [
        ("[foo]\n", "foo", "config:1: `[foo]` is not a profile; write `[profile foo]`"),
        ("---\n[profile foo]\n", "foo", "credentials:2: `[profile foo]` is not a profile; write `[foo]`"),
        (
            "[profile my team]\n",
            "my team",
            "config:1: `[profile my team]` is not a profile; write `[profile \"my team\"]`",
        ),
        ("[Profile foo]\n", "foo", "config:1: `[Profile foo]` is not a profile; write `[profile foo]`"),
        ("[profile foo\n", "foo", "config:1: `[profile foo` is not a profile; write `[profile foo]`"),
        ("[profile \"foo]\n", "foo", "config:1: `[profile \"foo]` is not a profile; write `[profile foo]`"),
        ("[profile prod]\n[profile dev]\n", "Dev", "did you mean `dev`?"),
        ("[profile dev]\n[default]\n", "x\u{202e}", "they have `default`, `dev`"),
        (
            "region = x\n",
            "default",
            "config:1: there is no section above this line; add one, such as `[default]`",
        ),
        ("", "foo", "they have no profiles"),
        (
            "[profile a]\n[profile b]\n[profile c]\n[profile d]\n[profile e]\n[profile f]\n[profile g]\n",
            "zzz",
            "they have `a`, `b`, `c`, `d`, `e` and 2 more",
        ),
    ] {
        let shown = name.replace('\u{202e}', "\\u{202e}");
        assert_eq!(Files::new(text).error(name), missing(&shown) + hint, "{text:?}");
    }
    let files = Files::new("");
    std::fs::write(files.path("config"), b"[profile \xff]").unwrap();
    std::fs::remove_file(files.path("credentials")).unwrap();
    assert_eq!(
        files.error("foo"),
        missing("foo")
            + "the file config, which `aws.shared_config_file` names, cannot be read: it is not UTF-8; the file credentials, \
               which `aws.shared_credentials_file` names, cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn both_variables_of_the_aws_cli_select_a_profile() {
    let selected = |variables: &[(&str, &str)]| {
        let environment = Environment::of(variables);
        let files =
            SharedConfig::read(ConfiguredPaths::default(), &environment, None, &ParsedFiles::default());
        (files.selected.clone(), files.selected_by)
    };
    let default = ("AWS_DEFAULT_PROFILE", "b");
    assert_eq!(selected(&[default, ("AWS_PROFILE", "a")]), ("a".to_owned(), Some("AWS_PROFILE")));
    assert_eq!(selected(&[default, ("AWS_PROFILE", "")]), ("b".to_owned(), Some("AWS_DEFAULT_PROFILE")));
    assert_eq!(selected(&[("AWS_DEFAULT_PROFILE", "default")]), ("default".to_owned(), None));
}

#[test]
fn an_empty_variable_selects_neither_a_file_nor_a_profile() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".aws")).unwrap();
    let path = directory.path().join(".aws/config");
    std::fs::write(&path, "[default]\nregion = eu-west-1\n").unwrap();
    let home = ("HOME", directory.path().to_str().unwrap());
    for blank in ["", " ", "\t"] {
        let variables = [
            home,
            ("AWS_CONFIG_FILE", blank),
            ("AWS_SHARED_CREDENTIALS_FILE", blank),
            ("AWS_PROFILE", blank),
        ];
        let files = SharedConfig::read(
            ConfiguredPaths::default(),
            &Environment::of(&variables),
            None,
            &ParsedFiles::default(),
        );
        assert_eq!((files.selected.as_str(), files.check_selected()), ("default", Ok(())));
        assert_eq!(files.place("default", "region"), format!(" ({}:2)", path.display()));
    }
    let variables = [home, ("AWS_CONFIG_FILE", "~/.aws/config")];
    let files = SharedConfig::read(
        ConfiguredPaths::default(),
        &Environment::of(&variables),
        None,
        &ParsedFiles::default(),
    );
    assert_eq!(files.place("default", "region"), format!(" ({}:2)", path.display()));
}

/// A search in all sections for each section would take minutes.
#[tokio::test]
async fn a_file_of_the_maximum_size_takes_no_longer_than_others_of_its_size() {
    for line in
        ["[default]\n", "[profile default]\n", "[\n", "x\n", "[profile x]\na=b\n", "[x]\n", "[profile 'x\n"]
    {
        let files = Files::new(&line.repeat(MAX_TEXT / line.len()));
        let files = files.select(Some("other"));
        files.profiles().await.unwrap();
        assert!(files.check_selected().unwrap_err().to_string().len() < 1000);
    }
    let long = "x".repeat(MAX_TEXT - 20);
    for text in
        [format!("[profile {long}]\n"), format!("[default]\n{long} = a\n  b = c\n"), format!("[{long}")]
    {
        let files = Files::new(&text).select(Some("other"));
        assert!(files.check_selected().unwrap_err().to_string().len() < 1000);
        let files = Files::new(&text).select(None);
        assert!(files.check_selected().map_or_else(|error| error.to_string().len(), |()| 0) < 1000);
    }
}

/// Regression test: the files were parsed several times for each profile, so the exporter took minutes to
/// start with a thousand profiles, and the same for each reload.
#[tokio::test]
async fn a_file_is_parsed_once_for_all_of_its_profiles() {
    let padding = "x".repeat(MAX_TEXT / 1000);
    let profile = |n: usize| format!("[profile {n}]\n# {padding}\nregion = r{n}\nsource_profile = hub\n");
    let files = Files::new(&((0..1000).map(profile).collect::<String>() + "[profile hub]\noutput = x\n"));
    let parsed = ParsedFiles::default();
    let region = async |name: &str| {
        let profiles = files.select_with(Some(name), &parsed).profiles().await.unwrap();
        assert_eq!(profiles.get_profile("hub").unwrap().get("output"), Some("x"));
        profiles.get("region").unwrap().to_owned()
    };
    for n in 0..1000 {
        assert_eq!(region(&n.to_string()).await, format!("r{n}"));
    }
    // A change is noticed.
    std::fs::write(
        files.path("config"),
        "[profile 7]\nregion = new\nsource_profile = hub\n[profile hub]\noutput=x",
    )
    .unwrap();
    assert_eq!(region("7").await, "new");
}

#[test]
fn an_error_says_that_there_is_no_home_directory() {
    // With an empty HOME, the files were read from the working directory.
    for variables in [&[][..], &[("HOME", "")]] {
        let environment = Environment::of(variables);
        let files =
            SharedConfig::read(ConfiguredPaths::default(), &environment, Some("x"), &ParsedFiles::default());
        assert_eq!(
            files.check_selected().unwrap_err().to_string(),
            "the profile `x` (selected by `profile`) is not defined in ~/.aws/config or ~/.aws/credentials; the file \
             ~/.aws/config cannot be read: HOME is not set; the file ~/.aws/credentials cannot be read: HOME is not set"
        );
    }
}

proptest::proptest! {
    #[test]
    fn whatever_the_files_contain_the_sdk_can_read_what_it_gets(text in "(\\[profile [a-z\"' #]{0,4}\\]?|[a-z= :#;\\[\\]\t%é]{0,12}|s3 =|  k = v|[ \n\r]){0,24}") {
        let text = text.replace('v', "v\n");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let files = Files::new(&text.replace("---", "")).select(None);
        let profiles = runtime.block_on(files.profiles());
        proptest::prop_assert!(profiles.is_ok(), "{:?} from {:?}", profiles, text);
    }
}
