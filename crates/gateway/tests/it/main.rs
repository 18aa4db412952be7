mod axis;
mod onvif;
mod rtsp;
mod site;
mod stills;
mod support;
mod vapix;
