// Commands that use no profile, or name one themselves.
const without =
  /^silo (profiles|signup|doctor|help|completion|exit-codes)\b|--(profile|staff|endpoints|dev)\b/;
// A command ends where the sentence continues; the colon of a scope such as project:read belongs to
// it.
const command = /\bsilo (?=[a-z])(?:[^,;:()]|:(?=\S))*/g;
const ofStaff = /^silo migrate (start|retry|rollback|purge|rate)\b/;

/**
 * Adds the user's profile to each command in a text: without it, the command would be sent to
 * another deployment.
 */
export function withProfile(text: string, profile: string | undefined): string {
  if (profile === undefined) return text;
  return text.replace(command, (found) =>
    without.test(found) || ofStaff.test(found)
      ? found
      : found.replace('silo ', `silo --profile ${profile} `),
  );
}
