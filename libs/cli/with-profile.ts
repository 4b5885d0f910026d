// They use no profile, or name one themselves.
const without =
  /^silo (profiles|signup|doctor|help|completion|exit-codes)\b|--(profile|staff|endpoints|dev)\b/;
// It ends where the sentence goes on; the colon of a scope such as project:read is within it.
const command = /\bsilo (?=[a-z])(?:[^,;:()]|:(?=\S))*/g;
const ofStaff = /^silo migrate (start|retry|rollback|purge|rate)\b/;

/**
 * A text for people with the profile that the user has given in each command that it names: else the
 * command would be sent to another deployment.
 */
export function withProfile(text: string, profile: string | undefined): string {
  if (profile === undefined) return text;
  return text.replace(command, (found) =>
    without.test(found) || ofStaff.test(found)
      ? found
      : found.replace('silo ', `silo --profile ${profile} `),
  );
}
