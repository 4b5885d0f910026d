import type { DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { Validator } from '@bufbuild/protovalidate';
import { type Authorization, Caller } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { authorizationOf, findMethod, type Image } from '@silo/protos/image.ts';
import { compileFieldPath, type ReadText } from './field-path.ts';
import { anyoneRequestBytesMax, captureRequestBytesMax, publicRequestBytesMax } from './limits.ts';
import type { MountedMethod } from './mount.ts';
import { compilePropagation } from './propagation.ts';
import { isRepeatable } from './repeatable.ts';
import { compileEmail, compileRequestId } from './request-identity.ts';
import { compileShape, type ReadShape } from './validate.ts';

/** The rules of one method in the protos, compiled. */
export type MethodRules = {
  path: string;
  authorization: Authorization;
  readShape: ReadShape;
  target: TargetFields;
  /** Reads the request_id; undefined if the method has none, or changes nothing. */
  readRequestId: ReadText | undefined;
  /** Reads the owner of a request id if no caller is authenticated. */
  readEmail: ReadText | undefined;
  /**
   * Whether it is a harmless method between services: several such calls serve each external call,
   * or it is periodic.
   */
  isRoutine: boolean;
  /** Whether it may change something; then a call with an API key takes permits. */
  mayChange: boolean;
  /** The largest request on a public port. */
  requestBytesMax: number;
  /** Number of the response field `propagation`, if an API key can end access by this method. */
  propagationField: number | undefined;
};

/** The fields that name the target; undefined if the method has no target of that kind. */
type TargetFields = {
  organizationId: ReadText | undefined;
  projectId: ReadText | undefined;
  /** Paths of both, to report that neither is set. */
  paths: string[];
};

/** Compiles the rules of a method. Throws if the image has no access rule for it. */
export function compileRules(
  image: Image,
  validator: Validator,
  mounted: MountedMethod,
): MethodRules {
  const { path } = mounted;
  const method = findMethod(image, path);
  const authorization = method && authorizationOf(image, method);
  if (method === undefined || authorization === undefined) {
    throw new TypeError(`${path} has no option (silo.common.v1.authorization)`);
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
    requestBytesMax: requestBytesMaxOf(authorization.caller),
    // AwaitBarrier returns a propagation too, but is itself the wait.
    propagationField: isOfKeys ? compilePropagation(output) : undefined,
  };
}

function requestBytesMaxOf(caller: Caller): number {
  if (caller === Caller.CALLER_ANYONE) return anyoneRequestBytesMax;
  return caller === Caller.CALLER_PROJECT_TOKEN ? captureRequestBytesMax : publicRequestBytesMax;
}

function isReadOnly(method: DescMethod): boolean {
  return method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
