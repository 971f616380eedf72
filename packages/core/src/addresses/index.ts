export {
  type Address,
  contains,
  endsInNumber,
  type Network,
  parseAddress,
  parseApiAddress,
  parseApiNetwork,
  parseLooseIpv4,
} from './address.ts';
export {
  behindTranslator,
  isLoopback,
  purposeNames,
  type SpecialPurpose,
  type SpecialRange,
  specialRange,
  specialRanges,
} from './special-ranges.ts';
