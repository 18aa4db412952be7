mod axis;
mod documents;
mod onvif;
mod rtsp;
mod site;
mod stills;
mod support;
mod vapix;
