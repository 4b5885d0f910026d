/** Why a finding matters, and what to do. docs/operations.md has the same lines. */
export type Advice = { why: string; remedy: string };

/** Everything that `silo doctor` can find. */
export const advice = {
  'process-unreachable': {
    why: 'Calls that need this process fail.',
    remedy:
      'Start it, or read its log. If it runs, check its address, and that TLS_CA, TLS_CERT and TLS_KEY here are a staff certificate of its CA.',
  },
  'process-not-serving': {
    why: 'The process has no connection to MongoDB, or drains: callers get UNAVAILABLE.',
    remedy: 'Check MongoDB, and the lines "MongoDB is not reachable" in the log of the process.',
  },
  'nats-not-connected': {
    why: 'Guards learn of changes from lease renewals alone, so revocations wait for up to LEASE_MS; subscribers get nothing.',
    remedy:
      'Check NATS, and NATS_URL, NATS_PASSWORD_FILE and NATS_TLS_CA of the process. Its log says why.',
  },
  'relay-stalled': {
    why: 'Events of this service do not reach subscribers. None is lost: they follow later, in order.',
    remedy:
      'Read "relaying was interrupted" in the log: NATS is away, its stream refuses events, or max_payload is too small.',
  },
  'guard-without-lease': {
    why: 'The process decides no access from memory, and refuses changes with UNAVAILABLE.',
    remedy:
      'Check that the token service serves and that the process reaches it. The process acquires a lease again by itself.',
  },
  'activity-stalled': {
    why: 'Lists of activity are refused with UNAVAILABLE.',
    remedy:
      'Check the service whose log cannot be read: "loop iteration failed" in the log of org names it.',
  },
  'clock-skew': {
    why: 'Certificates, keys and invites end early or late, and times of events are wrong. Leases, locks and migrations between regions do not depend on it; purges and the removal by retention_days wait until the clock of MongoDB says so too.',
    remedy: 'Synchronize the clock of that machine (chrony, systemd-timesyncd).',
  },
  'certificate-expires': {
    why: 'Once it has ended, connections with it fail.',
    remedy:
      'Issue a new one and replace the files (docs/operations.md, "Certificates and secrets"). Services use them within 10 s; mongod after rotateCertificates, nats-server after SIGHUP; a container of compose when it is recreated.',
  },
  'mongodb-unreachable': {
    why: 'Without MongoDB nothing can be decided. Or only this machine cannot reach it, and the findings about databases are missing.',
    remedy: 'Check the servers, and MONGODB_URL here.',
  },
  'mongodb-without-authentication': {
    why: 'A client that reaches the port reads and changes everything, past every rule of Silo.',
    remedy:
      'Start mongod with --keyFile (or security.authorization), and give each service a user of its own.',
  },
  'mongodb-standalone': {
    why: 'Services need transactions, which a server outside of a replica set does not have.',
    remedy: 'Start mongod with --replSet and initiate the set; one member is enough for a trial.',
  },
  'mongodb-member-unhealthy': {
    why: 'The set stands fewer failures than it has members for; without a majority of them nothing can be changed.',
    remedy:
      'Start that mongod, or read its log. One that stays in RECOVERING or STARTUP2 is copying data, or too far behind: let it begin with an empty directory.',
  },
  'mongodb-too-old': {
    why: 'Silo needs MongoDB 6.0 or newer.',
    remedy: 'Upgrade the servers, one major version at a time.',
  },
  'mongodb-transaction-lifetime': {
    why: 'What a process locked that died inside a transaction stays locked for that long.',
    remedy: 'Start mongod with --setParameter transactionLifetimeLimitSeconds=10.',
  },
  'mongodb-logs-documents': {
    why: 'A slow command is logged with its documents, which hold names, e-mails and events.',
    remedy:
      'Start mongod with --slowms 2147483647 or, of the Enterprise edition, with redactClientLogData.',
  },
  'mongodb-settings-unseen': {
    why: 'The settings of mongod could not be checked.',
    remedy: 'Give the user of MONGODB_URL here the role clusterMonitor.',
  },
  'database-unseen': {
    why: 'Indexes, sagas and the event log of this service could not be checked.',
    remedy:
      'Give the user of MONGODB_URL here the role read on the database (readAnyDatabase for all).',
  },
  'database-not-set-up': {
    why: 'No service has ever used this database.',
    remedy: 'Start the service, or correct MONGODB_DATABASE_PREFIX here.',
  },
  'index-missing': {
    why: 'Calls read whole collections, expired records stay, or what must be unique is not.',
    remedy: 'Restart one replica of the service: it makes missing indexes when it starts.',
  },
  'saga-stuck': {
    why: 'Somebody waits for a change that has been decided but is not finished.',
    remedy:
      'Read the lines of the saga in the log of the service: it is repeated until the service that it needs answers. Where its kind or state is unknown to all replicas, run the newer release again (silo_sagas_unknown).',
  },
  'events-unsequenced': {
    why: 'Changes are committed but have no place in the event log: guards and subscribers do not see them yet.',
    remedy: 'Check that a replica of the service runs. Its log says why sequencing fails.',
  },
  'relay-lags': {
    why: 'Subscribers are late by this much. Nothing is lost.',
    remedy:
      'Check that a replica of the service runs and is connected to NATS, and that NATS has room for the stream.',
  },
  'nats-unreachable': {
    why: 'Events wait, and revocations take up to LEASE_MS. Or only this machine cannot reach NATS, and the findings about it are missing.',
    remedy: 'Check the servers, and NATS_URL, NATS_PASSWORD_FILE and NATS_TLS_CA here.',
  },
  'nats-without-authentication': {
    why: 'A client that reaches the port reads all events, and publishes false ones to subscribers.',
    remedy: 'Give nats-server the accounts and users of deploy/nats-server.conf.',
  },
  'nats-payload': {
    why: 'The largest events do not fit, and the relay stops at one.',
    remedy: 'Set max_payload of nats-server to 1MB.',
  },
  'stream-missing': {
    why: 'Events reach no subscriber.',
    remedy:
      'A relay makes the stream and fills it from the log, within seconds of its connection. If it stays away, check that JetStream is enabled for the account and has room; or correct NATS_STREAM here.',
  },
  'stream-drifted': {
    why: 'Events are kept for another time or in another way than subscribers are promised.',
    remedy:
      'Restart one replica of any service: it sets the stream’s configuration when it connects. Then find out who changes it.',
  },
  'subscriber-lags': {
    why: 'What depends on this consumer is late. The stream keeps events for 7 days.',
    remedy: 'Check the subscriber that reads with it; delete the consumer if nobody does.',
  },
  'region-unreachable': {
    why: 'Projects cannot migrate to or from that region, and captures for those that have migrated there are not passed on.',
    remedy:
      'Check the address in REGION_ADDRESSES and the network. Each region must trust the CA of the other (REGION_TLS_CA), and the server there must have the certificate of its project service.',
  },
  'migration-failed': {
    why: 'The project is in use where it was, as before. Somebody waits for its migration.',
    remedy:
      'Mend what it says, then silo migrate retry MIGRATION; or silo migrate cancel MIGRATION.',
  },
} as const satisfies Record<string, Advice>;

export type FindingName = keyof typeof advice;
