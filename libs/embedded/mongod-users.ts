import { join } from 'node:path';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { type Db, MongoServerError } from 'mongodb';
import { makePassword, readPassword, writePrivateFile } from './passwords.ts';

/** The name of the replica set. */
export const replicaSetName = 'silo';

// A code of the server's src/mongo/base/error_codes.yml.
const userExists = 51003;

/**
 * Users of MongoDB: `admin` has all rights, a service's user only those for the service's database.
 */
export const mongodbUsers = ['admin', ...serviceNames] as const;
export type MongodbUser = (typeof mongodbUsers)[number];

/** The rights of a service's user: its own database only. */
export function rolesOf(name: ServiceName, databasePrefix: string) {
  return [{ role: 'readWrite', db: `${databasePrefix}_${name}` }];
}

/** Connection strings for the users of a MongoDB. */
export interface MongodbAccess {
  /** A connection string with user and password. */
  urlOf(user: MongodbUser): string;
}

/** Stores the passwords of a mongod, one file per user, readable by its owner only. */
export class MongodPasswords {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = join(directory, 'passwords');
  }

  /** The password of a user that exists. */
  of(user: MongodbUser): string {
    const password = this.#read(user);
    if (password === undefined) throw new Error(`MongoDB's user ${user} was never created`);
    return password;
  }

  /** Whether the administrator exists: until then no user can log in. */
  get hasAdmin(): boolean {
    return this.#read('admin') !== undefined;
  }

  /** Whether every user exists. */
  get areKnown(): boolean {
    return this.hasAdmin && serviceNames.every((name) => this.#read(name) !== undefined);
  }

  /**
   * Creates the administrator, using the localhost exception or a server without access control.
   */
  async createAdmin(admin: Db): Promise<void> {
    const pwd = makePassword();
    try {
      await admin.command({ createUser: 'admin', pwd, roles: ['root'], ...majority });
    } catch (error) {
      // An earlier start ended after it created the user and before it stored the password.
      if (!(error instanceof MongoServerError && error.code === userExists)) throw error;
      await admin.command({ updateUser: 'admin', pwd, ...majority });
    }
    await writePrivateFile(this.#file('admin'), `${pwd}\n`);
  }

  /** Creates the missing users of the services, each with access to its own database only. */
  async createServiceUsers(admin: Db, databasePrefix: string): Promise<void> {
    const { users } = await admin.command({ usersInfo: 1 });
    const present = new Map<string, string>();
    for (const { user, roles } of users) present.set(user, roles[0]?.db);
    await Promise.all(
      serviceNames.map(async (name) => {
        const db = `${databasePrefix}_${name}`;
        if (present.get(name) === db && this.#read(name) !== undefined) return;
        const pwd = this.#read(name) ?? makePassword();
        const roles = rolesOf(name, databasePrefix);
        const command = present.has(name) ? { updateUser: name } : { createUser: name };
        await admin.command({ ...command, pwd, roles, ...majority });
        // Written last, so that a stored password always belongs to a user that exists.
        await writePrivateFile(this.#file(name), `${pwd}\n`);
      }),
    );
  }

  #read(user: MongodbUser): string | undefined {
    return readPassword(this.#file(user));
  }

  #file(user: MongodbUser): string {
    return join(this.#directory, user);
  }
}

const majority = { writeConcern: { w: 'majority' } } as const;
