/** The icons that chats do without: importing this module adds them to the others. */

import { ICONS } from "./dom.js";

Object.assign(ICONS, {
  chats: "M4 5h16v11H9l-5 4z",
  posts: "M4 4h16v16H4zM8 9h8M8 13h8M8 17h4",
  admin: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M8 14v6",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  new: "M12 5v14M5 12h14",
  heart: "M12 20S4 15 4 9a4 4 0 0 1 8-1 4 4 0 0 1 8 1c0 6-8 11-8 11z",
  comment: "M4 5h16v11H9l-5 4z",
  bookmark: "M7 4h10v16l-5-4-5 4z",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  minus: "M5 12h14",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  help: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M12 16.8h.01",
});
