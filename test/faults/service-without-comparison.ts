/**
 * Project for a control run: each range of a copied project counts as equal to the source's as soon
 * as it is stored, and stays so. The other services are unchanged.
 */

import { basename } from 'node:path';
import { billingService } from '@silo/billing-service/service.ts';
import { orgService } from '@silo/org-service/service.ts';
import { projectService } from '@silo/project-service/service.ts';
import { runService } from '@silo/service/run-service.ts';
import type { ServiceDefinition, ServiceKit } from '@silo/service/service-definition.ts';
import { tokenService } from '@silo/token-service/service.ts';
import type { AnyBulkWriteOperation, Collection, Document, OptionalId } from 'mongodb';

const rangesName = 'migration_ranges';

const withoutComparison: ServiceDefinition = {
  ...projectService,
  build: (kit) => projectService.build({ ...kit, db: withEqualRanges(kit.db) }),
};

/** The database, in which every range is stored as compared. */
function withEqualRanges(db: ServiceKit['db']): ServiceKit['db'] {
  const altered: ServiceKit['db'] = Object.create(db);
  altered.collection = (name, options) => {
    const collection = db.collection(name, options);
    return (name === rangesName ? equalRanges(collection as Collection) : collection) as never;
  };
  return altered;
}

function equalRanges(ranges: Collection): Collection {
  const altered: Collection = Object.create(ranges);
  const equal = <Range extends Document>(range: Range) => ({ ...range, isVerified: true });
  altered.insertMany = (documents: readonly OptionalId<Document>[], options) =>
    ranges.insertMany(documents.map(equal), options);
  altered.bulkWrite = (operations: readonly AnyBulkWriteOperation[], options) =>
    ranges.bulkWrite(
      operations.map((operation) => {
        if (!('replaceOne' in operation)) return operation;
        const { replaceOne } = operation;
        return { replaceOne: { ...replaceOne, replacement: equal(replaceOne.replacement) } };
      }),
      options,
    );
  // The only use of this update is to record whether ranges were equal. They stay equal when
  // everything is compared again.
  altered.updateMany = (filter, _, options) =>
    ranges.updateMany(filter, { $set: { isVerified: true } }, options);
  return altered;
}

/** The certificate determines the service, even if it has several processes. */
const { TLS_CERT: certificate = '' } = process.env;
const definition = [orgService, withoutComparison, tokenService, billingService].find(
  ({ name }) => basename(certificate) === `service-${name}.pem`,
);
if (definition === undefined) throw new Error(`no service has ${certificate}`);
await runService(definition);
