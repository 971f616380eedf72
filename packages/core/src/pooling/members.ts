import { InvalidArgumentError } from '../errors.ts';

/** What {@link membersByName} needs of the one who makes them. @internal */
export interface MemberMaker<Service, Member> {
  make(service: Service): Member;
  /** What a member is called if its Service gives it no name. */
  nameOf(member: Member): string;
  close(member: Member): void;
}

/**
 * Makes a member for each of several Services, by its name. If one cannot be made, those before it are closed.
 *
 * @throws what `make` throws; an error about an option that the Service itself gives names the place of that
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a name that is used twice
 * @internal
 */
export function membersByName<Service extends { readonly name?: string | undefined }, Member>(
  services: readonly Service[],
  { make, nameOf, close }: MemberMaker<Service, Member>,
): ReadonlyMap<string, Member> {
  const members = new Map<string, Member>();
  const made: Member[] = [];
  try {
    for (const [index, service] of services.entries()) {
      const member = placed(`services[${index}]`, service, make);
      made.push(member);
      const name = service.name ?? nameOf(member);
      if (members.has(name))
        throw new InvalidArgumentError(`services[${index}].name`, `${name} is used twice: give each its own`);
      members.set(name, member);
    }
  } catch (error) {
    for (const member of made) close(member);
    throw error;
  }
  return members;
}

function placed<Service extends object, Member>(place: string, service: Service, make: (of: Service) => Member) {
  try {
    return make(service);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) || !Object.hasOwn(service, error.argument.replace(/\W.*/, '')))
      throw error;
    const message = error.message.slice(`${error.argument}: `.length);
    throw new InvalidArgumentError(`${place}.${error.argument}`, message, { cause: error });
  }
}
