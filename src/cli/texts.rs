//! The texts that help and the manual page have in common. `code` is shown in bold in the manual page.

/// The name of the program.
pub(super) const PROGRAM: &str = "ssm-sync-exporter";

/// When the texts of the manual page last changed.
pub(super) const DATE: &str = "2026-11-27";

pub(super) const ABOUT: &str = "Prometheus exporter for AWS Systems Manager resource data syncs";

pub(super) const DOCUMENTATION: &str = "https://github.com/ssm-sync-exporter/ssm-sync-exporter";

pub(super) const DESCRIPTION: &[&str] = &[
    "Lists the resource data syncs of AWS accounts and regions periodically, and serves their state as \
     metrics. Nothing is changed in AWS. Without a configuration, the exporter polls the account of the \
     ambient AWS credentials in their default region.",
    "Without a command, `serve` runs. Flags may come before or after the command.",
];

/// An example: what the command does, and the command.
pub(super) type Example = (&'static str, &'static str);

/// A command in help, completions and the manual page.
pub(super) struct CommandText {
    /// The words of the command.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) description: &'static [&'static str],
    pub(super) examples: &'static [Example],
}

pub(super) const COMMANDS: [CommandText; 9] = [
    CommandText {
        name: "serve",
        about: "Poll AWS and serve the metrics (default)",
        description: &[
            "Polls every target, an account in a region, once per `interval`, and serves metrics at /metrics, a \
             status page at / and a JSON API at /api/v1/status. SIGHUP reloads the configuration; SIGTERM and \
             SIGINT stop the exporter.",
        ],
        examples: &[
            ("Serve the metrics on port 10144:", "ssm-sync-exporter --config.file config.yaml"),
            (
                "Poll the account of the ambient credentials in two regions:",
                "SSM_SYNC_EXPORTER_REGIONS='[eu-west-1, us-east-1]' ssm-sync-exporter",
            ),
            ("Serve with TLS and passwords:", "ssm-sync-exporter --web.config.file web.yaml"),
        ],
    },
    CommandText {
        name: "once",
        about: "Poll every target once, write the result and exit",
        description: &[
            "Waits for slow targets until `ready_after` has passed. The flags `--web.*` are ignored.",
        ],
        examples: &[
            (
                "Show all syncs once, worst first:",
                "ssm-sync-exporter once --config.file config.yaml --format table",
            ),
            (
                "Write a file for node_exporter's textfile collector:",
                "ssm-sync-exporter once --output /var/lib/node-exporter/ssm_sync.prom",
            ),
            (
                "Fail if a sync is not as the configuration expects:",
                "ssm-sync-exporter once --config.file config.yaml --fail-on violations",
            ),
        ],
    },
    CommandText {
        name: "doctor",
        about: "Take every step of a poll once, and say what fails and what to do",
        description: &[
            "Obtains credentials, assumes roles, and lists accounts, regions and syncs, as `serve` does. The \
             flags `--web.*` are ignored.",
        ],
        examples: &[
            (
                "Say what keeps targets from being polled, and what to do:",
                "ssm-sync-exporter doctor --config.file config.yaml",
            ),
            (
                "Look at one account of a large organization:",
                "ssm-sync-exporter doctor --config.file config.yaml --account staging",
            ),
        ],
    },
    CommandText {
        name: "config",
        about: "Check the configuration, or print its schema or its defaults",
        description: &[],
        examples: &[],
    },
    CommandText {
        name: "config check",
        about: "Check the configuration, and say what would be polled",
        description: &[
            "Refuses what `serve` and `once` refuse at start, without calling AWS. The other flags of `serve` are \
             checked, too.",
        ],
        examples: &[(
            "Check a configuration, and say what would be polled:",
            "ssm-sync-exporter config check --config.file config.yaml",
        )],
    },
    CommandText {
        name: "config schema",
        about: "Print the JSON Schema of the configuration file, for editors",
        description: &[],
        examples: &[(
            "Write the schema to a file:",
            "ssm-sync-exporter config schema > ssm-sync-exporter.schema.json",
        )],
    },
    CommandText {
        name: "config defaults",
        about: "Print a configuration file with every key and its default",
        description: &[],
        examples: &[("Start a configuration:", "ssm-sync-exporter config defaults > config.yaml")],
    },
    CommandText {
        name: "completions",
        about: "Print the completions for a shell",
        description: &[],
        examples: &[
            ("Load them in bash:", "source <(ssm-sync-exporter completions bash)"),
            (
                "Install them for zsh:",
                "ssm-sync-exporter completions zsh > \"${fpath[1]}/_ssm-sync-exporter\"",
            ),
            ("Load them in fish:", "ssm-sync-exporter completions fish | source"),
        ],
    },
    CommandText {
        name: "man",
        about: "Print the manual page",
        description: &[],
        examples: &[("Read it:", "ssm-sync-exporter man | man -l -")],
    },
];

/// Environment variables: names, and what they do.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "SSM_SYNC_EXPORTER_KEY, SSM_SYNC_EXPORTER_PARENT__KEY",
        "Sets a key of the configuration, with `__` between its levels, and overrides the file. For example, \
         `SSM_SYNC_EXPORTER_AWS__USE_FIPS=true` sets `aws.use_fips`. A value in brackets or braces is read as YAML.",
    ),
    (
        "AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CONFIG_FILE, \
         AWS_SHARED_CREDENTIALS_FILE",
        "Region and credentials, as for the AWS CLI. So are web identities (`AWS_WEB_IDENTITY_TOKEN_FILE`, \
         `AWS_ROLE_ARN`), containers (`AWS_CONTAINER_CREDENTIALS_…`), instance metadata (`AWS_EC2_METADATA_…`) and \
         `AWS_ENDPOINT_URL`.",
    ),
    (
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT",
        "`true` selects endpoints with FIPS or IPv6, unless the configuration does.",
    ),
    (
        "AWS_CA_BUNDLE, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
        "Certificate authorities and proxies for calls to AWS.",
    ),
    ("NO_COLOR, CLICOLOR, CLICOLOR_FORCE", "Whether tables have colours."),
];

/// Files: paths, and what they are.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "/etc/ssm-sync-exporter/config.yaml",
        "The configuration that the systemd unit names. There is no default.",
    ),
    (
        "/etc/ssm-sync-exporter/environment",
        "Environment variables for the systemd unit, such as credentials, and further flags in `OPTIONS`.",
    ),
    ("~/.aws/config, ~/.aws/credentials", "Profiles and credentials, as for the AWS CLI."),
];

/// Exit statuses, and what they mean.
pub(super) const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success. `serve` ends with it on SIGTERM and SIGINT."),
    (
        "1",
        "A failure. `once`: a target was not collected, or violates an expectation with `--fail-on violations`. \
         `doctor`: a check failed.",
    ),
    ("2", "Invalid flags or configuration. A restart does not help."),
];
