/** Who a text speaks to: `@name`, as people type it. Pure. */

const WORD = /^[\p{L}\p{N}_.-]{1,40}/u;

/**
 * A text in pieces, `{text, mention}`: `mention` is the name after an `@`, or null. A name with spaces counts where it
 * is one of `names` (the longest wins); any other is what looks like one word.
 */
export function pieces(text, names) {
  const found = [];
  let plain = 0;
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    const before = text[at - 1];
    if (before !== undefined && /[\p{L}\p{N}]/u.test(before)) continue; // an address, not a name
    const name = nameAt(text.slice(at + 1), names);
    if (!name) continue;
    if (at > plain) found.push({ text: text.slice(plain, at), mention: null });
    plain = at + 1 + name.length;
    found.push({ text: text.slice(at, plain), mention: name });
  }
  if (plain < text.length) found.push({ text: text.slice(plain), mention: null });
  return found;
}

function nameAt(rest, names) {
  const lower = rest.toLocaleLowerCase();
  const known = names.filter((name) => lower.startsWith(name.toLocaleLowerCase())).sort((a, b) => b.length - a.length);
  return known.length ? rest.slice(0, known[0].length) : (WORD.exec(rest)?.[0] ?? null);
}

/** The ids of those a text names, out of the lines' authors; at most five, which is what a message may carry. */
export function mentioned(text, lines) {
  if (!text.includes("@")) return [];
  const authors = new Map(lines.filter((line) => line.user).map(({ user }) => [user.name.toLocaleLowerCase(), user.id]));
  const said = pieces(text, [...authors.keys()]).filter((piece) => piece.mention);
  return [...new Set(said.map((piece) => authors.get(piece.mention.toLocaleLowerCase())).filter(Boolean))].slice(0, 5);
}

/** What stands between the last `@` before the caret and the caret, where a name may be under way; else null. */
export function nameBeingTyped(text, caret) {
  const at = text.lastIndexOf("@", caret - 1);
  if (caret < 1 || at === -1 || /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  return text.slice(at + 1, caret);
}

const MOST_LIKELY = 4;

/** The names that begin so, but for one that is already written out; at most four. */
export function likely(typed, names) {
  const lower = typed.toLocaleLowerCase();
  return names.filter((name) => name.toLocaleLowerCase().startsWith(lower) && name.length > typed.length).slice(0, MOST_LIKELY);
}
