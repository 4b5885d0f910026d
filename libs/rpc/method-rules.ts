import type { DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { Validator } from '@bufbuild/protovalidate';
import { type Authorization, Caller } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { authorizationOf, findMethod, type Image } from '@silo/protos/image.ts';
import { compileFieldPath, type ReadText } from './field-path.ts';
import type { MountedMethod } from './mount.ts';
import { compilePropagation } from './propagation.ts';
import { isRepeatable } from './repeatable.ts';
import { compileEmail, compileRequestId } from './request-identity.ts';
import { compileShape, type ReadShape } from './validate.ts';

/** What the protos say about one method, ready to be applied to calls. */
export type MethodRules = {
  path: string;
  authorization: Authorization;
  readShape: ReadShape;
  target: TargetFields;
  /** Reads the request_id; undefined where there is none, or nothing is changed. */
  readRequestId: ReadText | undefined;
  /** Whose request ids these are where anyone may call. */
  readEmail: ReadText | undefined;
  /** Between services, and harmless: several stand behind each call from outside, or it is a pulse. */
  isRoutine: boolean;
  /** Whether it may change something, which takes permits where a key calls. */
  mayChange: boolean;
  /** Number of the response's field `propagation`, where a key may end access by the method. */
  propagationField: number | undefined;
};

/** The fields that name the target; undefined where the method has none of that kind. */
type TargetFields = {
  organizationId: ReadText | undefined;
  projectId: ReadText | undefined;
  /** Paths of both, for telling that neither is set. */
  paths: string[];
};

/** Compiles what the image says of a method. Throws for a method that the image does not rule. */
export function compileRules(
  image: Image,
  validator: Validator,
  mounted: MountedMethod,
): MethodRules {
  const { path } = mounted;
  const method = findMethod(image, path);
  const authorization = method && authorizationOf(image, method);
  if (method === undefined || authorization === undefined) {
    throw new TypeError(`${path} does not say who may call it, so nobody may`);
  }
  const { input, output } = method;
  const { organizationField, projectField } = authorization;
  const field = (name: string) => (name === '' ? undefined : compileFieldPath(input, name));
  const readRequestId = isReadOnly(method) ? undefined : compileRequestId(input);
  const isBetweenServices = authorization.caller === Caller.CALLER_CERTIFICATE;
  const isAnyone = authorization.caller === Caller.CALLER_ANYONE;
  const isOfKeys = authorization.caller === Caller.CALLER_API_KEY;
  return {
    path,
    authorization,
    readShape: compileShape(image, validator, input, mounted),
    target: {
      organizationId: field(organizationField),
      projectId: field(projectField),
      paths: [organizationField, projectField].filter((name) => name !== ''),
    },
    readRequestId,
    readEmail: isAnyone && readRequestId !== undefined ? compileEmail(input) : undefined,
    isRoutine: isBetweenServices && isRepeatable(path),
    mayChange: !isReadOnly(method),
    // AwaitBarrier answers one too, and is what others wait by.
    propagationField: isOfKeys ? compilePropagation(output) : undefined,
  };
}

function isReadOnly(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
