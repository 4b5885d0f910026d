/**
 * Project as it is started for a control run: each range of a copied project counts as equal to the
 * source's as soon as it is stored, and for good. The other services are as they are.
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

/** The database, in which all ranges are stored as compared. */
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
  // All that is ever changed so: whether ranges were equal. They still are when all is compared again.
  altered.updateMany = (filter, _, options) =>
    ranges.updateMany(filter, { $set: { isVerified: true } }, options);
  return altered;
}

/** The service is determined by its certificate, also where it has several processes. */
const { TLS_CERT: certificate = '' } = process.env;
const definition = [orgService, withoutComparison, tokenService, billingService].find(
  ({ name }) => basename(certificate) === `service-${name}.pem`,
);
if (definition === undefined) throw new Error(`no service has ${certificate}`);
await runService(definition);
