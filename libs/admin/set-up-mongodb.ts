import { join } from 'node:path';
import {
  type MongodbUser,
  mongodbUsers,
  replicaSetName,
  rolesOf,
} from '@silo/embedded/mongod-users.ts';
import { readPassword } from '@silo/embedded/passwords.ts';
import { waitUntil } from '@silo/embedded/wait-until.ts';
import { serviceNames } from '@silo/service/config.ts';
import { type Document, MongoClient, type MongoClientOptions, MongoServerError } from 'mongodb';

const readyWithinMs = 60_000;
const selectionTimeoutMs = 5_000;
// Codes of the server's src/mongo/base/error_codes.yml.
const authenticationFailed = 18;
const alreadyInitialized = 23;
const unauthorized = 13;
const majority = { writeConcern: { w: 'majority' } } as const;

interface MongodbSetUp {
  /**
   * The `host:port` of a member on this machine: until a user exists, mongod accepts commands from
   * its own machine only.
   */
  local: string;
  /** `host:port` of each member, as services reach them. */
  members: readonly string[];
  /** A directory with one file per user, which holds the user's password. */
  passwords: string;
  /** PEM file of the CA that signed the certificates of the members. */
  ca: string;
  /** A service's database is `<prefix>_<service>`. */
  databasePrefix: string;
  signal: AbortSignal;
}

/**
 * Creates the replica set, its administrator, and a user per service with access to the service's
 * own database only. What exists is kept; a service's user gets the password of its file if it has
 * another one. Returns one sentence for each thing that was done.
 */
export async function setUpMongodb(setUp: MongodbSetUp): Promise<string[]> {
  const done: string[] = [];
  const passwords = passwordsIn(setUp.passwords);
  const tls = { tls: true, tlsCAFile: setUp.ca, serverSelectionTimeoutMS: selectionTimeoutMs };
  const begin = { withinMs: readyWithinMs, signal: setUp.signal };
  const atMember = { ...tls, directConnection: true };
  const admin = { username: 'admin', password: passwords.admin };
  const hasAdmin = await waitUntil(
    `MongoDB answering on ${setUp.local}`,
    () => canLogIn(`mongodb://${setUp.local}/`, { ...atMember, auth: admin }),
    begin,
  );
  if (!hasAdmin) {
    await using member = new MongoClient(`mongodb://${setUp.local}/`, atMember);
    await initiate(member, setUp.members);
    await waitUntil(`${setUp.local} becoming primary`, () => requirePrimary(member), begin);
    await createAdmin(member, passwords.admin);
    done.push(`made the replica set of ${setUp.members.join(', ')} and its user admin`);
  }
  const set = `mongodb://${setUp.members.join(',')}/?replicaSet=${replicaSetName}`;
  await using client = await waitUntil(
    'a member of the replica set becoming primary',
    () => connectedClient(set, { ...tls, auth: admin }),
    begin,
  );
  const db = client.db('admin');
  const { users } = await db.command({ usersInfo: 1 });
  const present = new Set(users.map(({ user }: Document) => user));
  for (const name of serviceNames) {
    const auth = { username: name, password: passwords[name] };
    if (present.has(name) && (await canLogIn(set, { ...tls, auth }))) continue;
    const command = present.has(name) ? { updateUser: name } : { createUser: name };
    const roles = rolesOf(name, setUp.databasePrefix);
    await db.command({ ...command, pwd: passwords[name], roles, ...majority });
    done.push(present.has(name) ? `changed the password of user ${name}` : `made user ${name}`);
  }
  return done;
}

function passwordsIn(directory: string): Record<MongodbUser, string> {
  const entries = mongodbUsers.map((user) => {
    const password = readPassword(join(directory, user));
    if (password === undefined) throw new Error(`${directory} has no password of user ${user}`);
    return [user, password];
  });
  return Object.fromEntries(entries);
}

/** A client whose first connection failed cannot be used again. */
async function connectedClient(url: string, options: MongoClientOptions): Promise<MongoClient> {
  const client = new MongoClient(url, options);
  try {
    return await client.connect();
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function canLogIn(url: string, options: MongoClientOptions): Promise<boolean> {
  await using client = new MongoClient(url, options);
  try {
    await client.connect();
    return true;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === authenticationFailed) return false;
    throw error;
  }
}

/**
 * The member with the priority becomes primary whenever it can, because the first users are created
 * on it.
 */
async function initiate(member: MongoClient, hosts: readonly string[]): Promise<void> {
  const members = hosts.map((host, id) => ({ _id: id, host, priority: id === 0 ? 2 : 1 }));
  try {
    await member.db('admin').command({ replSetInitiate: { _id: replicaSetName, members } });
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === alreadyInitialized)) throw error;
  }
}

async function requirePrimary(member: MongoClient): Promise<void> {
  const hello = await member.db('admin').command({ hello: 1 });
  if (hello.isWritablePrimary !== true) throw new Error('it is not');
}

async function createAdmin(member: MongoClient, pwd: string): Promise<void> {
  const createUser = { createUser: 'admin', pwd, roles: ['root'], ...majority };
  try {
    await member.db('admin').command(createUser);
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === unauthorized)) throw error;
    throw new Error("MongoDB's user admin does not have the password in its file");
  }
}
