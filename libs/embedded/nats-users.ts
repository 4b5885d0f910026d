import { type ServiceName, serviceNames } from '@silo/service/config.ts';

/**
 * Users of NATS. `admin` has all rights, `guard` is for guards of other products, `subscriber` for
 * all consumers of events; a service's user is named after it.
 */
export const natsUsers = ['admin', ...serviceNames, 'guard', 'subscriber'] as const;
export type NatsUser = (typeof natsUsers)[number];

/** The stream and subjects of events: the settings NATS_STREAM and NATS_SUBJECT_PREFIX. */
export type EventStream = { stream: string; subjectPrefix: string };

type Rights = { publish: readonly string[]; subscribe: readonly string[] };

/**
 * The accounts, users and rights of a nats-server, as lines of its configuration file. `password`
 * returns what the file contains: a quoted password, or the name of a variable.
 * Subscribers have an account of their own. NATS checks the subject of a message but not its reply
 * subject. In the account of the stream, a subscriber could send JetStream a request whose reply
 * NATS stores in the stream, under a subject to which the subscriber may not publish.
 */
export function natsAccounts(
  { stream, subjectPrefix }: EventStream,
  password: (user: NatsUser) => string,
): string {
  const user = (name: NatsUser, rights?: Rights) =>
    `      { user: ${name}, password: ${password(name)}${rights ? permissions(rights) : ''} }`;
  const consumed = subscriberRequests(stream);
  return [
    'accounts {',
    '  SILO {',
    '    jetstream: enabled',
    '    users: [',
    user('admin'),
    ...serviceNames.map((name) => user(name, serviceRights(name, { stream, subjectPrefix }))),
    user('guard', guardRights(subjectPrefix)),
    '    ]',
    '    exports: [',
    `      { stream: ${quote(`${subjectPrefix}.>`)}, accounts: [SUBSCRIBERS] }`,
    ...consumed.map(
      (subject) =>
        `      { service: ${quote(subject)}, response_type: stream, accounts: [SUBSCRIBERS] }`,
    ),
    '    ]',
    '  }',
    '  SUBSCRIBERS {',
    '    users: [',
    user('subscriber', {
      publish: consumed,
      subscribe: [`${subjectPrefix}.>`, '_INBOX.subscriber.>'],
    }),
    '    ]',
    '    imports: [',
    `      { stream: { account: SILO, subject: ${quote(`${subjectPrefix}.>`)} } }`,
    ...consumed.map((each) => `      { service: { account: SILO, subject: ${quote(each)} } }`),
    '    ]',
    '  }',
    '}',
    '',
  ].join('\n');
}

/** A service publishes its own events, maintains the stream, and embeds a guard. */
function serviceRights(name: ServiceName, { stream, subjectPrefix }: EventStream): Rights {
  const stands = ['INFO', 'CREATE', 'UPDATE', 'PURGE', 'MSG.GET'];
  const reads = ['INFO', 'DELETE', 'MSG.NEXT'];
  return {
    publish: [
      `${subjectPrefix}.${name}.>`,
      `numbered.${subjectPrefix}.${name}`,
      `acknowledged.${subjectPrefix}`,
      '$JS.API.INFO',
      ...stands.map((operation) => `$JS.API.STREAM.${operation}.${stream}`),
      // Consumers that read only the service's own events.
      `$JS.API.CONSUMER.CREATE.${stream}.*.${subjectPrefix}.${name}.>`,
      ...reads.map((operation) => `$JS.API.CONSUMER.${operation}.${stream}.*`),
    ],
    subscribe: [
      `numbered.${subjectPrefix}.*`,
      // The registry receives acknowledgements, and is part of the token service.
      ...(name === 'token' ? [`acknowledged.${subjectPrefix}`] : []),
      `_INBOX.${name}.>`,
    ],
  };
}

function guardRights(subjectPrefix: string): Rights {
  return {
    publish: [`acknowledged.${subjectPrefix}`],
    subscribe: [`numbered.${subjectPrefix}.*`],
  };
}

/** The JetStream requests of a client that reads the stream with a consumer of any kind. */
function subscriberRequests(stream: string): string[] {
  return [
    '$JS.API.INFO',
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.ACK.${stream}.>`,
  ];
}

function permissions({ publish, subscribe }: Rights): string {
  const list = (subjects: readonly string[]) =>
    `[\n${subjects.map((subject) => `          ${quote(subject)}`).join('\n')}\n        ]`;
  return `, permissions: {\n        publish: ${list(publish)}\n        subscribe: ${list(subscribe)}\n      }`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
