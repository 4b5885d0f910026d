import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  isMessage,
  toBinary,
} from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Authorization, Caller } from './gen/silo/common/v1/authorization.ts';

/** The output of `buf build`: descriptors with comments and options. */
export type Image = { files: FileDescriptorSet; registry: FileRegistry };

let loaded: Image | undefined;

/** The image that `npm run generate` wrote, read once per process. */
export function loadImage(): Image {
  if (loaded === undefined) {
    const bytes = readFileSync(new URL('./gen/image.binpb', import.meta.url));
    const files = fromBinary(FileDescriptorSetSchema, bytes);
    loaded = { files, registry: createFileRegistry(files) };
  }
  return loaded;
}

/**
 * The method of a gRPC path such as `/silo.org.v1.AccountService/GetAccount`; undefined if unknown.
 */
export function findMethod(image: Image, path: string): DescMethod | undefined {
  const [, service, name] = path.split('/');
  const found = service === undefined ? undefined : image.registry.getService(service);
  return found?.methods.find((method) => method.name === name);
}

/**
 * The access rule in a method's option `(silo.common.v1.authorization)`; undefined if it has none.
 */
export function authorizationOf(image: Image, method: DescMethod): Authorization | undefined {
  const extension = image.registry.getExtension('silo.common.v1.authorization');
  const schema = image.registry.getMessage('silo.common.v1.Authorization');
  if (extension === undefined || schema === undefined) return undefined;
  const value = getOption(method, extension);
  if (!isMessage(value, schema)) return undefined;
  const rule = Authorization.decode(toBinary(schema, value));
  return rule.caller === Caller.CALLER_UNSPECIFIED ? undefined : rule;
}

/** All methods of the `silo.` packages, with their gRPC paths. */
export function siloMethods(image: Image): { path: string; method: DescMethod }[] {
  const found: { path: string; method: DescMethod }[] = [];
  for (const type of image.registry) {
    if (type.kind !== 'service' || !type.typeName.startsWith('silo.')) continue;
    for (const method of type.methods) {
      found.push({ path: `/${type.typeName}/${method.name}`, method });
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
