import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import { adviceFor } from '@silo/cli/advice.ts';
import { namesFrom } from '@silo/cli/names.ts';
import { deletionBlocks } from '@silo/cli/render/events.ts';
import { migrationBlocks, migrationsBlocks } from '@silo/cli/render/migrations.ts';
import { previewBlocks } from '@silo/cli/render/move-preview.ts';
import * as organizations from '@silo/cli/render/organizations.ts';
import { plansBlocks, subscriptionBlocks } from '@silo/cli/render/plans.ts';
import * as projects from '@silo/cli/render/projects.ts';
import { type Block, toText } from '@silo/cli/text.ts';
import { PlanDescription, Subscription } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Invite, Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { PropertyFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { EventDeletion } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { Project, PropertyIndex } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  MemberAccess,
  MoveBlocker,
  MoveCheck,
  PreviewMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { type Decoder, type Encoder, toJson } from '@silo/protos/json.ts';
import test from 'ava';
import { sampleOf } from './samples.ts';

// An answer of a newer server to an older `silo`: any enum value may be unknown.

type Case = { type: string; text(bytes: Uint8Array): string; json(bytes: Uint8Array): unknown };

/** How `silo` shows a message with an enum. */
function shown<Message>(
  codec: Decoder<Message> & Encoder<Message>,
  render: (message: Message) => Block[],
): Case {
  return {
    type: codec.$type,
    text: (bytes) => toText(render(codec.decode(bytes)), { colour: false }),
    json: (bytes) => toJson(codec, codec.decode(bytes)),
  };
}

const nameOf = namesFrom(new Map());
const side = { id: 'org_us_1', name: 'Example' };
const noChange = { ownKeys: [], otherKeys: [] };
const preview = (fields: Partial<PreviewMoveResponse>) =>
  previewBlocks(PreviewMoveResponse.fromPartial(fields), {
    ...{ projects: [], source: side, destination: side },
  });

const cases: Case[] = [
  shown(PlanDescription, (plan) => plansBlocks([plan])),
  shown(Subscription, (each) => subscriptionBlocks(each, nameOf)),
  shown(Organization, (each) => [
    ...organizations.organizationsBlocks([each]),
    ...organizations.organizationBlocks(each),
  ]),
  shown(Member, (member) => organizations.membersBlocks([member])),
  shown(Invite, (invite) => [
    ...organizations.invitesBlocks([invite]),
    ...organizations.invitedBlocks(invite, 'ivc_1'),
  ]),
  shown(Project, (each) => projects.projectBlocks(each, nameOf)),
  shown(PropertyIndex, (index) =>
    projects.projectBlocks(Project.fromPartial({ propertyIndexes: [index] }), nameOf),
  ),
  shown(Migration, (each) => [
    ...migrationsBlocks([each], nameOf),
    ...migrationBlocks(each, nameOf),
  ]),
  shown(PropertyFilter, (condition) =>
    deletionBlocks(EventDeletion.fromPartial({ filter: { properties: [condition] } }), nameOf),
  ),
  shown(MoveCheck, (check) => [
    ...preview({ checks: [check] }),
    adviceFor({ reason: check.reason, metadata: {} }) ?? '',
  ]),
  shown(MemberAccess, (member) =>
    preview({ losing: { ...noChange, members: [member], memberCount: 1 } }),
  ),
  shown(MoveBlocker, ({ reason, description }) => [
    description,
    adviceFor({ reason, metadata: {} }) ?? `no advice for ${reason}`,
  ]),
];

const { types } = loadImage();

/** The messages with an enum in what the public API answers. */
/** Methods that project tokens call, for which `silo` has no command. */
const notCalled = new Set(['/silo.project.v1.EventService/CaptureEvents']);

function typesWithEnums(): string[] {
  const seen = new Set<DescMessage>();
  const visit = (message: DescMessage) => {
    if (seen.has(message)) return;
    seen.add(message);
    for (const field of message.fields) if (field.message !== undefined) visit(field.message);
  };
  for (const { path, method } of siloMethods(loadImage())) {
    if (!path.includes('.internal.') && !notCalled.has(path)) visit(method.output);
  }
  return [...seen]
    .filter(({ fields }) => fields.some((field) => field.enum !== undefined))
    .map(({ typeName }) => typeName)
    .filter((typeName) => typeName.startsWith('silo.'));
}

test('every answer with an enum has a case', (t) => {
  t.deepEqual(cases.map(({ type }) => type).sort(), typesWithEnums().sort());
});

for (const { type, text, json } of cases) {
  test(`${type}: enum values of a newer release are shown, as text and as JSON`, (t) => {
    const schema = types.getMessage(type);
    if (schema === undefined) throw new TypeError(`the image does not hold ${type}`);
    const bytes = toBinary(schema, sampleOf(schema, { member: 0, unknownEnums: true }));
    // Field 1,000, which no release has: a text.
    const newer = Buffer.concat([bytes, Buffer.from([0xc2, 0x3e, 1, 0x78])]);
    t.regex(text(newer), /\b987\b/);
    t.regex(JSON.stringify(json(newer)), /:987\b/);
  });
}
