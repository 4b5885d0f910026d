import { join } from 'node:path';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { required } from './environment.ts';

/**
 * Directory of the run's certificates for a region, by default `us`. `other/` below it contains
 * those of another CA.
 */
export function certificates(region = 'us'): string {
  const directory = required('SILO_TEST_CERTIFICATES');
  return region === 'us' ? directory : join(directory, region);
}

/**
 * A certificate by `<role>-<name>`, such as `staff-operator`, of the run's CA or of another one.
 */
export function certificate(name: string, directory = certificates()): TlsFiles {
  const path = (file: string) => join(directory, file);
  return { ca: path('ca.pem'), cert: path(`${name}.pem`), key: path(`${name}.key`) };
}
