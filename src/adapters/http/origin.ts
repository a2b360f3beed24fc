/**
 * The origin of an address as a URL would write it, taken as it stands: parsing is dear.
 */
const PLAIN =
  /^(https?:\/\/(?:[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*|127\.0\.0\.1)(?::(?!0|80(?!\d)|443(?!\d)|[6-9]\d{4})\d{1,5})?)(?=[/?#]|$)/

/** Undefined for an address that has to be parsed. */
export function plainOrigin(address: string): string | undefined {
  return PLAIN.exec(address)?.[1]
}
