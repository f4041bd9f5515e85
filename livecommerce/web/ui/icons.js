/** The few icons, drawn with strokes on a 24 × 24 grid. */
const NS = "http://www.w3.org/2000/svg";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  bag: "M6 8h12l1 12H5L6 8zM9 8V6a3 3 0 0 1 6 0v2",
  bolt: "M13 2L5 13h6l-1 9 8-12h-6l1-8z",
  camera: "M3 7h11v10H3zM14 10.5l6-3.5v10l-6-3.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  eye: "M2 12s3.6-7 10-7 10 7 10 7-3.6 7-10 7-10-7-10-7zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  heart: "M12 20s-8-5-8-10.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 8 2.5C20 15 12 20 12 20z",
  live: "M12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM7.8 7.8a6 6 0 0 0 0 8.4M16.2 7.8a6 6 0 0 1 0 8.4M5 5a10 10 0 0 0 0 14M19 5a10 10 0 0 1 0 14",
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  pin: "M9 3h6l-1 6 4 4H6l4-4-1-6zM12 13v8",
  plus: "M12 5v14M5 12h14",
  screen: "M3 5h18v11H3zM8 20h8M12 16v4",
  send: "M4 12l16-8-6 16-3-6-7-2z",
  share: "M12 15V4M8 7.5L12 4l4 3.5M5 12v8h14v-8",
  signal: "M5 19v-4M10 19v-8M15 19V8M20 19V4",
  sound: "M4 9v6h4l5 4V5L8 9H4zM16.5 8.5a5 5 0 0 1 0 7M19 6a8.5 8.5 0 0 1 0 12",
  stop: "M6 6h12v12H6z",
  mute: "M4 9v6h4l5 4V5L8 9H4zM17 9.5l5 5M22 9.5l-5 5",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c1-5 4-7 8-7s7 2 8 7",
  "camera-off": "M3 7h8M14 10v-3h-1M14 14v3H3V8M14 10.5l6-3.5v10l-4-2.3M3 3l18 18",
  "mic-off": "M9 9v2a3 3 0 0 0 4.5 2.6M15 11V6a3 3 0 0 0-5.8-1M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.6 2.8M12 18v3M3 3l18 18",
  mirror: "M12 3v18M9 7l-6 10h6V7zM15 7l6 10h-6V7z",
  gear: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M5.6 18.4l2.2-2.2M16.2 7.8l2.2-2.2",
  pause: "M8 5v14M16 5v14",
  chart: "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
  question: "M9 9a3 3 0 1 1 4 2.8c-.7.3-1 .8-1 1.7M12 17.5v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  poll: "M4 6h10M4 12h16M4 18h7",
  chat: "M4 5h16v11H9l-5 4V5z",
  tag: "M3 12V4h8l10 10-8 8L3 12zM7.5 7.5v.5",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  grip: "M9 6v.1M15 6v.1M9 12v.1M15 12v.1M9 18v.1M15 18v.1",
  room: "M4 6h16M4 12h16M4 18h16M8 4v4M15 10v4M10 16v4",
  reply: "M9 7L4 12l5 5M4 12h10a6 6 0 0 1 6 6",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  broom: "M14 4l-4 8M6 12h9l1 8H4l2-8zM8 20v-4M12 20v-4",
  ban: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.6 5.6l12.8 12.8",
  shield: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6l8-3z",
  minus: "M5 12h14",
  receipt: "M6 3h12v18l-3-2-3 2-3-2-3 2V3zM9 8h6M9 12h6",
};

/** An icon by name; decorative, so a button needs its own label. */
export function icon(name, { filled = false } = {}) {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", filled ? "icon filled" : "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
