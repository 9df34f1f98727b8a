//! The words that pseudonyms do not replace: those of AWS's API and of its messages, of error messages
//! of the network, and of the documentation of the exporter. They say nothing about an organization.

use std::collections::HashSet;
use std::ops::Range;

/// The words that stay in every name: those of ARNs, URLs, host names and regions, and names that the
/// documentation of the exporter and AWS give.
const IN_NAMES: &str = "
    af amazonaws ap arn aws awsreservedsso ca cn com ec2 eu eusc gov iam il iso isob isoe isof kms managednode me mx
    s3 sa ssm ssmsyncexporter sso sts us ou
    http https license quicksetup inspectorresourcedatasync do not delete
    http https localhost
";

/// The words in messages by which denials, the causes of failed syncs, HTML pages and problems with a
/// proxy are told. They stay in every message.
const TELLING: &str = "
    a access accessdenied account action allows amz an are authorizationheadermalformed authorized based because
    body boundaries boundary bucket cannot checksum code content control denied deny doctype does doesn encrypt
    endpoint error exist existing exists explicit failed for forbidden found generatedatakey getbucketacl head html
    identity illegallocationconstraint in invalidbucketname is lock md5 moved no nosuchbucket not object objectlock
    on operation organizations orgid perform permanently permanentredirect permission permissions policies policy
    proxy putobject putobjecttagging redacted redirect region requestobjecttag resource role service session sessions
    status tagging the this through title to transitively trust user vpc with write wrong you
";

/// The parameters of the calls that the exporter makes and the fields of their answers.
const API: &str = "
    2011 2012 2014 accesskeyid accountid accounts actions active allow amazon amazonssm amzn application
    assumedroleid assumedroleuser assumerole assumeroleresponse assumeroleresult assumerolewithwebidentity
    assumerolewithwebidentityresponse assumerolewithwebidentityresult audience awskmskeyarn awsorganizations
    awsorganizationssource awsorganizationsv20161128 awssecuritytokenservicev20110615 bucketname bucketprefix
    bucketregion charset closed conditions created createresourcedatasync credentials default deleteresourcedatasync
    describeinstanceinformation describeorganization destinationdatasharing destinationdatasharingtype disabled disabling doc durationseconds
    effect email enableallopsdatasources enabled enabledbydefault enabling encoded entireorganization errorresponse
    errors expiration externalid false getcalleridentity getcalleridentityresponse getcalleridentityresult id
    includefutureregions inprogress invalidorganizationalunit invited istruncated items joinedmethod joinedtimestamp
    json jsonserde laststatus lastsuccessfulsynctime lastsyncstatusmessage lastsynctime listaccounts
    listaccountsforparent listorganizationalunitsforparent listregions listresourcedatasync listroots maxresults
    message name nexttoken nopermissions null octet organizationalunit organizationalunitid organizationalunits
    organizationnotexists organizationsourcetype packedpolicysize parentid paths pending plain policyarns prefix
    provider reason receiver regionname regionoptstatus regionoptstatuscontains regions requestid resourcedatasync
    resourcedatasyncitems responsemetadata rolearn rolesessionname s3destination secretaccesskey sender sessiontoken
    singleaccountmultiregions sourceidentity sourceregions sourcetype state statement stream
    subjectfromwebidentitytoken successful suspended synccreatedtime syncformat syncfromsource synclastmodifiedtime
    syncname syncsource synctodestination synctype text true trustedaccessdisabled type updateresourcedatasync
    userid utf version webidentitytoken xml xmlns
";

/// Error codes.
const CODES: &str = "
    accessdeniedexception awsorganizationsnotinuseexception badgateway exception expiredtoken expiredtokenexception
    gatewaytimeout idpcommunicationerror idprejectedclaim incompletesignature incompletesignatureexception
    internalfailure internalservererror internalserverexception invalidaccesskeyid invalidaction
    invalidclienttokenid invalididentitytoken invalidinputexception invalidnexttoken invalidsignatureexception
    malformedpolicydocument missingauthenticationtoken missingauthenticationtokenexception nosuchentity
    notauthorized optinrequired packedpolicytoolarge parentnotfoundexception regiondisabledexception requestexpired
    requestinthefuture requestlimitexceeded requestthrottled requestthrottledexception requesttimeout
    requesttimeoutexception requesttimetooskewed resourcedatasyncalreadyexistsexception
    resourcedatasynccountexceededexception resourcedatasyncinvalidconfigurationexception
    resourcedatasyncnotfoundexception serializationexception serviceexception servicefailure serviceunavailable
    serviceunavailableexception signaturedoesnotmatch slowdown subscriptionrequiredexception throttledexception
    throttling throttlingexception toomanyrequestsexception unauthorizedexception unauthorizedoperation
    unknownoperationexception unrecognizedclientexception validationerror validationexception
";

/// The services and resources of AWS.
const AWS: &str = "
    alias api assumed buckets central cloudtrail cluster data datasync delete do dualstack east ecs eks explorer
    exporter federated fips hub inspector inspectorresourcedatasync instance inventory key keys kubernetes lambda
    license manager north northeast northwest oidc oidcprovider opsdata organization ou partition profile quicksetup
    reserved roles root serviceaccount south southeast southwest ssmsync sync syncs system users vpce west
";

/// The other words of AWS's messages about calls that it does not answer, and about syncs that fail.
const SENTENCES: &str = "
    about above accessed accessing acl acls activate activated addressed administrator aes256 all allowed also
    always and any anything arnequals arnlike arnnotequals arnnotlike arns as assume assuming at attached attempt
    attempted attempts authenticate authenticated authentication authorise authorised authorization authorize
    automatically available aws4 be been before being between blocked boolifexists by calculated call called caller
    calls can canonical case cause caused change changed check checked client collect collected complete completed
    completely condition configuration configured constraint constraints contain contains context could create
    credential current date deactivated decrypt delegated denies denying describe destination detected did different
    digits disable disabledexception document documents don due during each earlier either empty enable encrypted
    encryption enum equal exact exceed exceeded exceeds expect expected expired explicitly expression failing fails
    failure federation field file find first following format from fullawsaccess future get given grant granted
    grants greater had happened has have header headers hmac how http identities if include included includes
    incorrect incorrectly internal invalid invalidstate isn it its just large later latest least length less like
    limit limited limits list lists load location look made make management master match matches max maximum may
    member members messages method min minimum missing more most must names necessary need needed needs new next
    none nosuchkey notfoundexception now number objects occurred of off ok old once one only operations option or
    other our out outside own owner ownership page pages parameter parameters parent partial path pattern performed
    permit permitted please policydocument policyname possible prefaced previous principal principalaccount
    principalarn principalisawsservice principalorgid principalorgpaths principals principaltag problem process
    provide provided put quota range rate rcp rcps reach reached read received recent recently record refer refused
    regular rejected request requested requestedregion requester requests require required requires resourceaccount
    resourceorgid resources resourcetag response restricted result retry returned rolename running same satisfied
    satisfy scp scps secret security see send sensible sent server service_control_policy services set setup sha256
    shared sharing should sid sign signature signed signing since some something source sourceaccount sourcearn
    sourceip sourceorgid sourcevpc sourcevpce specified specify sse start started statements still stop store string
    stringequals stringequalsignorecase stringlike stringnotequals stringnotequalsifexists stringnotlike
    successfully such support supported suspend syntax tag tags target temporarily temporary than that their them
    then there these they those throttled time timed times today token tokens too troubleshoot trusted try unable
    unauthorized unavailable unexpected unit units unknown unless unsupported until up update updated upload usage
    use used username uses using valid validate validation value values verify via view was wasn way we web went
    were what when where whether which while who whole will within without writes writing written yes yet your
";

/// What the exporter, its libraries and servers on the way to AWS say about requests without an answer.
const NETWORK: &str = "
    abandoned accept acceptable address after all_proxy already amp another answer answered apache apos apr aug
    authority backend bad balancer block br browser bytes cancelled center certificate certificates chain channel
    chunk class close cloudfront conflict connect connecting connection connections dec decode decoding dispatch div
    dns download dtd en end entity environment envoy eof establish established eval feb firewall frame fri gateway
    gmt gone got gt h1 h2 handshake haproxy hidden host hostname hour hr http_proxy https https_proxy
    invalidcertificate io ip issue issuer jan jul jun lang line link localhost longer lookup loose lt malformed many
    mar meta metadata mon nbsp network nginx no_proxy nodename nor notvalidforname nov oct os p parse parsing peer
    period pipe place port profiles protocol providers proxies proxy proxyauthorization public quot remote reset
    resolution resolve resolver route sat script second seconds sep servname shorter shut shutdown size socket span squid ssl
    strict style sun table tcp td thu timeout tls tr transitional tue tunnel unknownissuer unreachable unsuccessful
    underlying uri url utc variable variables w3c wait waiting wed window xhtml
";

/// What a text is, which decides which of its words stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    /// The name or id of something.
    Name,
    /// A message, which may have names in it.
    Message,
    /// Something that AWS or the exporter defines, such as the key of a field.
    Definition,
}

/// Parts of words by which the cause of a failed sync and the owner of a sync are told. They stay in
/// every word, so that a recording tells the same.
const PARTS: [&str; 20] = [
    "inspectorresourcedatasync",
    "authorizationheadermalformed",
    "illegallocationconstraint",
    "invalidbucketname",
    "requestobjecttag",
    "generatedatakey",
    "nosuchbucket",
    "getbucketacl",
    "objectlock",
    "permission",
    "putobject",
    "forbidden",
    "redirect",
    "encrypt",
    "tagging",
    "denied",
    "policies",
    "orgid",
    "polic",
    "kms",
];

/// The public words, and the parts of words that patterns of the configuration have.
#[derive(Debug)]
pub(super) struct Vocabulary {
    in_names: HashSet<&'static str>,
    telling: HashSet<&'static str>,
    /// All of them.
    public: HashSet<&'static str>,
    patterns: Vec<PatternPart>,
}

/// A part of a word that a pattern of the configuration has before or after a wildcard, as in `prod*`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternPart {
    /// In lower case.
    pub(super) text: String,
    pub(super) has_wildcard_before: bool,
    pub(super) has_wildcard_after: bool,
    pub(super) is_public: bool,
}

impl PatternPart {
    /// Where this is in `word`, which is in lower case and longer.
    fn find(&self, word: &str) -> Option<usize> {
        let text = self.text.as_str();
        match (self.has_wildcard_before, self.has_wildcard_after) {
            _ if text.len() >= word.len() => None,
            (true, true) => word.find(text),
            (true, false) => word.ends_with(text).then(|| word.len() - text.len()),
            (false, _) => word.starts_with(text).then_some(0),
        }
    }
}

/// A part of a word that is treated as a word of its own.
pub(super) struct Part {
    pub(super) range: Range<usize>,
    pub(super) is_public: bool,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        let words =
            |texts: &[&'static str]| texts.iter().flat_map(|text| text.split_ascii_whitespace()).collect();
        Self {
            in_names: words(&[IN_NAMES]),
            telling: words(&[IN_NAMES, TELLING]),
            public: words(&[IN_NAMES, TELLING, API, CODES, AWS, SENTENCES, NETWORK]),
            patterns: Vec::new(),
        }
    }

    /// Adds a part of a word in a pattern. It stays if it is a part of a word that stays in names, which
    /// the pattern may match.
    pub(super) fn add_pattern(&mut self, mut part: PatternPart) {
        if !self.patterns.contains(&part) {
            part.is_public = self.in_names.iter().any(|word| part.find(word).is_some());
            self.patterns.push(part);
            // The longest that matches applies.
            self.patterns.sort_by_key(|part| std::cmp::Reverse(part.text.len()));
        }
    }

    /// Whether the word stays, in whatever letter case. `is_name` says of a word in lower case whether it
    /// is a name or a part of one; then it is replaced in messages as well, if they can do without.
    pub(super) fn keeps(&self, word: &str, kind: TextKind, is_name: impl Fn(&str) -> bool) -> bool {
        let word = word.to_ascii_lowercase();
        let is_public_part = |part: &PatternPart| part.is_public && part.text == word;
        let word = word.as_str();
        match kind {
            TextKind::Name => self.in_names.contains(word) || self.patterns.iter().any(is_public_part),
            TextKind::Message => self.telling.contains(word) || self.public.contains(word) && !is_name(word),
            TextKind::Definition => self.public.contains(word),
        }
    }

    /// Whether a pseudonym in lower case would have a meaning.
    pub(super) fn reserves(&self, pseudonym: &str) -> bool {
        self.public.contains(pseudonym) || PARTS.iter().any(|part| pseudonym.contains(part))
    }

    /// The part that splits the word. `None` if it is replaced as a whole.
    pub(super) fn part_of(&self, word: &str) -> Option<Part> {
        let word = word.to_ascii_lowercase();
        let public = PARTS.iter().find_map(|part| Some((word.find(part)?, part.len(), true)));
        let of_pattern = |part: &PatternPart| Some((part.find(&word)?, part.text.len(), part.is_public));
        let found = public.or_else(|| self.patterns.iter().find_map(of_pattern));
        found.map(|(start, length, is_public)| Part { range: start..start + length, is_public })
    }
}
