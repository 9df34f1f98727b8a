//! The words that pseudonyms do not replace: those of AWS's API and of its messages, of error messages
//! of the network, and of the documentation of the exporter. They say nothing about an organization.

use std::collections::HashSet;
use std::ops::Range;

/// The parameters of the calls that the exporter makes and the fields of their answers.
const API: &str = "
    accesskeyid account accountid accounts action actions allow arn assumedroleid assumedroleuser assumerole
    assumeroleresponse assumeroleresult assumerolewithwebidentity assumerolewithwebidentityresponse
    assumerolewithwebidentityresult audience awskmskeyarn awsorganizations awsorganizationssource bucketname
    bucketprefix bucketregion code created credentials deny destinationdatasharing destinationdatasharingtype
    durationseconds effect email enableallopsdatasources encoded entireorganization error errorresponse errors
    expiration externalid failed getcalleridentity getcalleridentityresponse getcalleridentityresult id
    includefutureregions inprogress invalidorganizationalunit invited joinedmethod joinedtimestamp jsonserde
    laststatus lastsuccessfulsynctime lastsyncstatusmessage lastsynctime listaccounts listaccountsforparent
    listorganizationalunitsforparent listregions listresourcedatasync managednode maxresults message name nexttoken
    nopermissions organizationalunit organizationalunitid organizationalunits organizationnotexists
    organizationsourcetype packedpolicysize parentid paths policy policyarns prefix provider reason region
    regionname regionoptstatus regionoptstatuscontains regions requestid resource resourcedatasyncitems
    responsemetadata rolearn rolesessionname s3destination secretaccesskey sender receiver sessiontoken
    singleaccountmultiregions sourceidentity sourceregions sourcetype state statement status
    subjectfromwebidentitytoken successful synccreatedtime syncformat synclastmodifiedtime syncname syncsource
    syncfromsource synctodestination synctype type trustedaccessdisabled userid version webidentitytoken
    active suspended pending closed enabled enabling disabled disabling enabledbydefault default 2011 2012 2014
    true false null amz amzn amazonssm awsorganizationsv20161128 awssecuritytokenservicev20110615 amazon json application xml text html plain
    charset utf xmlns octet stream doc resourcedatasync createresourcedatasync updateresourcedatasync
    deleteresourcedatasync describeorganization listroots istruncated items conditions
";

/// Error codes.
const CODES: &str = "
    accessdenied accessdeniedexception expiredtoken expiredtokenexception incompletesignature
    incompletesignatureexception invalidaccesskeyid invalidclienttokenid invalidsignatureexception
    missingauthenticationtoken missingauthenticationtokenexception requestexpired requestinthefuture
    requesttimetooskewed signaturedoesnotmatch unrecognizedclientexception optinrequired regiondisabledexception
    subscriptionrequiredexception throttling throttlingexception throttledexception requestthrottled
    requestthrottledexception toomanyrequestsexception requestlimitexceeded slowdown requesttimeout
    requesttimeoutexception invalidnexttoken internalfailure internalservererror internalserverexception
    serviceunavailable serviceunavailableexception awsorganizationsnotinuseexception idpcommunicationerror
    idprejectedclaim invalididentitytoken invalidinputexception malformedpolicydocument packedpolicytoolarge
    parentnotfoundexception resourcedatasyncinvalidconfigurationexception resourcedatasyncnotfoundexception
    serviceexception validationerror validationexception unknownoperationexception unauthorizedoperation
    notauthorized unauthorizedexception badgateway gatewaytimeout exception invalidaction nosuchentity
    serializationexception servicefailure resourcedatasyncalreadyexistsexception
    resourcedatasynccountexceededexception
";

/// The services and resources of AWS in ARNs, host names and names that AWS gives.
const AWS: &str = "
    aws amazonaws amazon com cn api on dualstack vpce fips sts ssm iam kms s3 ec2 ecs eks sso oidc organizations
    organization ou root role roles user users assumed federated instance profile key keys alias bucket buckets data
    datasync sync syncs resource inventory opsdata explorer quicksetup inspector inspectorresourcedatasync license manager
    delete do not awsreservedsso reserved serviceaccount system cluster kubernetes lambda cloudtrail ssmsyncexporter
    exporter ssmsync hub accountid oidcprovider
    us eu ap sa ca af me il mx gov iso isob isoe isof eusc east west north south central northeast northwest southeast
    southwest partition
";

/// The sentences of AWS about calls that it does not answer, and about syncs that fail.
const SENTENCES: &str = "
    a about above access acl acls action activate allowed allows also an and any api are as assume assuming at attached based be
    because been before being between blocked boundaries boundary bucket by call called caller calls can cannot cause
    caused change changed check checked client collect collected complete completed completely condition configuration
    configured contain contains context control could credential create deactivated delegated denied denies denying
    describe destination did disable does doesn don due during each either enable encrypt encrypted encryption endpoint
    exceed exceeded exceeds existing exist exists expect expected expired explicit explicitly failing fails failure
    federation field file first following for forbidden format found from future get given grant granted grants had has
    have how identity identities if in include included includes incorrect internal invalid is isn it its just large
    latest length less like limit limited limits list lists load location lock made make management master match matches
    maximum may member members method minimum missing more most must names necessary need needed needs new next no none
    now null number object objects of off ok old on once one only operation operations option or other our out outside
    own owner ownership page pages parameter parameters parent partial path pattern perform performed permission
    permissions permit permitted please policies possible previous principal principals problem process provide provided
    put putobject putobjecttagging quota rate read reason received record recently refer refused rejected request
    requested requester requests require required requires response result resources restricted retry returned running
    same satisfied satisfy secret security see send sent server service services session sessions set setup shared sharing
    should sign signature signed signing since some source specified specify start started stop store string such
    successfully supported support suspend tag tagging tags temporarily temporary than that the their them then there
    these they this those through throttled time timed times to token tokens too trust trusted try type unable
    unauthorized unavailable unexpected unit units unknown unless unsupported until up update upload use used uses using
    valid validate validation value values verify via view vpc was wasn way we web were what when where whether which
    while who will with within without write writes writing written wrong you your yet generatedatakey decrypt
    orgid requestobjecttag getbucketacl nosuchbucket nosuchkey invalidbucketname authorizationheadermalformed
    illegallocationconstraint permanentredirect moved permanently redirect addressed checksum md5 content http header
    headers objectlock encoded authorization canonical calculated provide identity resourcetag principaltag sourcearn
    sourceaccount arns statements deny document documents service_control_policy scp scps rcp rcps sse aes256 disabledexception
    activated administrator all always anything case current date detected digits earlier empty enum equal exact
    expression find greater later least look messages min max occurred prefaced range recent regular sensible still
    syntax target today transitively troubleshoot updated usage whole yes aws4 hmac sha256 fullawsaccess arnequals
    arnlike arnnotequals arnnotlike stringequals stringequalsignorecase stringlike stringnotequals
    stringnotequalsifexists stringnotlike boolifexists principalaccount principalarn principalisawsservice
    principalorgid principalorgpaths requestedregion resourceaccount resourceorgid sourceorgid sourcevpc sourcevpce
    sourceip sid policydocument policyname rolename username
    kms invalidstate notfoundexception accessed accessing attempt attempted attempts automatically available assumed
    authenticate authenticated authentication authorized authorize authorise authorised constraints constraint different
    incorrectly reached reach something went happened
";

/// What the exporter, its libraries and servers on the way to AWS say about requests without an answer.
const NETWORK: &str = "
    abandoned address after already another answer answered authority backend bad balancer block body browser bytes
    cancelled certificate certificates channel chunk close closed connect connecting connection connections decode decoding
    dispatch dns download end eof establish established exporter frame firewall gateway handshake hidden host hostname hour
    html io ip issue issuer limit line load localhost longer lookup malformed metadata network nodename nor not os
    parse parsing peer period please pipe place port protocol proxies proxy proxyauthorization read redacted refused
    remote reset resolve resolver route second seconds servname shorter shut shutdown socket size ssl status stream tcp
    temporary timeout title tls tunnel unreachable unsuccessful url uri user waiting wait within window https
    http_proxy https_proxy all_proxy no_proxy environment variable variables profile profiles chain provider providers
    head body h1 h2 p br hr div span style script meta link center doctype public nginx cloudfront apache envoy squid
    haproxy dtd w3c transitional strict lang en xhtml loose class td tr table nbsp amp lt gt quot apos eval
    unknownissuer invalidcertificate notvalidforname other error errors failed failure got found first
    internal unauthorized forbidden gone allowed accept acceptable conflict large entity too many requests moved
    mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep oct nov dec gmt utc
";

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
        let texts = [API, CODES, AWS, SENTENCES, NETWORK];
        let public = texts.into_iter().flat_map(str::split_ascii_whitespace).collect();
        Self { public, patterns: Vec::new() }
    }

    /// Adds a part of a word in a pattern. It stays if it is a part of a public word, which the pattern
    /// may match.
    pub(super) fn add_pattern(&mut self, mut part: PatternPart) {
        if !self.patterns.contains(&part) {
            part.is_public = self.public.iter().any(|word| part.find(word).is_some());
            self.patterns.push(part);
            // The longest that matches applies.
            self.patterns.sort_by_key(|part| std::cmp::Reverse(part.text.len()));
        }
    }

    /// Whether the word is public, in whatever letter case.
    pub(super) fn contains(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        let is_public_part = |part: &PatternPart| part.is_public && part.text == word;
        self.public.contains(word.as_str()) || self.patterns.iter().any(is_public_part)
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
